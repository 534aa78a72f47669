//! What a run is not given, and says so.

mod support;

use darkroom_sdxl::scheduler::Steps;
use darkroom_sdxl::{Latents, LoadOptions, Mask, Picture, Pipeline, Run, RunError, Start};
use support::{fixtures, on_cpu, picture, pictures, tiny, tiny_run};

/// A grey picture.
fn grey(width: u32, height: u32) -> Picture {
    Picture {
        width,
        height,
        rgb: vec![128; (3 * width * height) as usize],
    }
}

/// What makes a run one that is refused.
type Change = Box<dyn Fn(&mut Run)>;

#[test]
fn values_the_model_does_not_take_are_refused_by_name() {
    let pipeline = tiny();
    let plain = tiny_run(&pipeline, "p");
    let image = |image, strength| Start::Image { image, strength };
    let inpaint = |mask| Start::Inpaint {
        image: grey(64, 64),
        mask,
        strength: 1.0,
    };
    let latents = Start::Latents(Latents {
        shape: [1, 4, 8, 9],
        values: vec![0.0; 288],
    });
    let wrong: Vec<(&str, Change)> = vec![
        ("width", Box::new(|run| run.width = 7)),
        ("height", Box::new(|run| run.height = 0)),
        ("steps", Box::new(|run| run.steps = Steps::Count(0))),
        ("steps", Box::new(|run| run.steps = Steps::Count(5000))),
        (
            "scheduler",
            Box::new(|run| run.scheduler = "magic".to_owned()),
        ),
        (
            "scheduler",
            Box::new(|run| run.steps = Steps::Timesteps(vec![1.0, 900.0])),
        ),
        ("images", Box::new(|run| run.images = 0)),
        ("clip_skip", Box::new(|run| run.clip_skip = 40)),
        ("eta", Box::new(|run| run.eta = Some(2.0))),
        (
            "guidance_scale",
            Box::new(|run| run.guidance.scale = f64::NAN),
        ),
        (
            "guidance_rescale",
            Box::new(|run| run.guidance.rescale = -1.0),
        ),
        ("guidance_end", Box::new(|run| run.guidance.end = 1.5)),
        (
            "denoising_end",
            Box::new(|run| run.denoising_end = Some(1.0)),
        ),
        (
            "strength",
            Box::new(move |run| run.start = image(grey(64, 64), 0.0)),
        ),
        (
            "strength",
            Box::new(move |run| run.start = image(grey(64, 64), 0.1)),
        ),
        (
            "image",
            Box::new(move |run| run.start = image(grey(64, 72), 0.9)),
        ),
        (
            "image",
            Box::new(move |run| {
                let mut image = grey(64, 64);
                image.rgb.push(0);
                run.start = Start::Image {
                    image,
                    strength: 0.9,
                };
            }),
        ),
        (
            "mask",
            Box::new(move |run| {
                run.start = inpaint(Mask {
                    width: 64,
                    height: 64,
                    values: vec![255; 9],
                });
            }),
        ),
        (
            "denoising_start",
            Box::new({
                let latents = latents.clone();
                move |run| run.start = latents.clone()
            }),
        ),
        (
            "latents",
            Box::new(move |run| {
                run.start = latents.clone();
                run.denoising_start = Some(0.5);
            }),
        ),
    ];
    for (name, change) in wrong {
        let mut run = plain.clone();
        change(&mut run);
        let error = pictures(&pipeline, &run).expect_err("refused");
        assert!(
            matches!(error, RunError::Invalid { field, .. } if field == name),
            "{name}: {error}"
        );
    }
}

#[test]
fn latents_that_are_no_models_are_not_decoded() {
    let pipeline = tiny();
    for (shape, values) in [([1, 4, 2, 2], 15), ([1, 3, 2, 2], 12), ([0, 4, 2, 2], 0)] {
        let latents = Latents {
            shape,
            values: vec![0.0; values],
        };
        let refused = pipeline.decode(&latents);
        assert!(
            matches!(
                refused,
                Err(RunError::Invalid {
                    field: "latents",
                    ..
                })
            ),
            "{shape:?}"
        );
    }
}

#[test]
fn an_inpainting_model_wants_a_mask() {
    let pipeline = Pipeline::load(
        &fixtures().join("pipeline"),
        LoadOptions {
            unet: Some(&fixtures().join("inpaint_unet")),
            ..on_cpu()
        },
    )
    .expect("the tiny inpainting model");
    let run = tiny_run(&pipeline, "p");
    let error = pictures(&pipeline, &run).expect_err("refused");
    assert!(
        matches!(error, RunError::Invalid { field: "mask", .. }),
        "{error}"
    );
    let smaller = Run {
        start: Start::Inpaint {
            image: grey(64, 56),
            mask: Mask {
                width: 64,
                height: 64,
                values: vec![255; 64 * 64],
            },
            strength: 1.0,
        },
        ..run.clone()
    };
    let error = pictures(&pipeline, &smaller).expect_err("refused");
    assert!(
        matches!(error, RunError::Invalid { field: "image", .. }),
        "{error}"
    );
    let with_mask = Run {
        start: Start::Inpaint {
            image: grey(64, 64),
            mask: Mask {
                width: 64,
                height: 64,
                values: vec![255; 64 * 64],
            },
            strength: 1.0,
        },
        ..run
    };
    assert_eq!(picture(&pipeline, &with_mask).rgb.len(), 3 * 64 * 64);
}
