//! What a run promises: its bytes, its ends, and what it does not take.

mod support;

use std::ops::ControlFlow;
use std::sync::Arc;

use darkroom_sdxl::noise::NoiseSource;
use darkroom_sdxl::scheduler::{Steps, TimestepSpacing};
use darkroom_sdxl::text::PromptSyntax;
use darkroom_sdxl::{
    GuidanceOptions, Latents, LoadOptions, Mask, Picture, Pipeline, Precision, Run, RunError,
    RunState, Start,
};
use support::{fixtures, load, on_cpu, picture, pictures, tiny, tiny_run};

#[test]
fn a_picture_is_the_same_alone_in_a_batch_and_beside_other_runs() {
    let pipeline = tiny();
    let run = Run {
        seed: 5,
        images: 3,
        scheduler: "euler_a".to_owned(),
        ..tiny_run(&pipeline, "a red fox")
    };
    let batch = pictures(&pipeline, &run).expect("pictures");
    let alone = |seed| Run {
        seed,
        images: 1,
        ..run.clone()
    };
    std::thread::scope(|scope| {
        let runs = [5, 6, 7].map(|seed| {
            scope.spawn({
                let (pipeline, run) = (&pipeline, alone(seed));
                move || picture(pipeline, &run)
            })
        });
        for (run, expected) in runs.into_iter().zip(&batch) {
            assert_eq!(&run.join().expect("a picture"), expected);
        }
    });
    assert_ne!(batch[0], batch[1]);
}

#[test]
fn every_generator_gives_a_seed_another_picture() {
    let pipeline = tiny();
    let with = |noise| {
        let run = Run {
            noise,
            seed: 3,
            scheduler: "euler_a".to_owned(),
            ..tiny_run(&pipeline, "a red fox")
        };
        let first = picture(&pipeline, &run);
        assert_eq!(first, picture(&pipeline, &run));
        first
    };
    let all = [
        NoiseSource::Philox,
        NoiseSource::TorchCpu,
        NoiseSource::TorchCuda,
    ]
    .map(with);
    assert_ne!(all[0], all[1]);
    assert_ne!(all[0], all[2]);
    assert_ne!(all[1], all[2]);
}

#[test]
fn every_scheduler_makes_a_picture_and_goes_on_where_it_stopped_to_the_same_bytes() {
    let pipeline = tiny();
    for noise in [NoiseSource::Philox, NoiseSource::TorchCpu] {
        for scheduler in Pipeline::SCHEDULERS {
            let run = Run {
                scheduler: (*scheduler).to_owned(),
                noise,
                images: 2,
                seed: 8,
                ..tiny_run(&pipeline, "oil on canvas")
            };
            let whole = pictures(&pipeline, &run).expect(scheduler);
            let mut saved = None;
            let stopped = pipeline.run(&run, &mut |done| {
                if done.image == 1 && done.step == 2 {
                    saved = Some(done.state().expect("a state").to_bytes().expect("bytes"));
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            });
            assert!(matches!(stopped, Err(RunError::Canceled)), "{scheduler}");
            let state = RunState::from_bytes(&saved.expect("saved")).expect("a state");
            let rest = pipeline.resume(&run, &state, &mut |_| ControlFlow::Continue(()));
            assert_eq!(rest.expect("the rest"), whole[1..], "{scheduler} {noise:?}");
        }
    }
}

#[test]
fn a_run_can_be_canceled_after_any_step() {
    let pipeline = tiny();
    let mut seen = Vec::new();
    let result = pipeline.run(&tiny_run(&pipeline, "a star"), &mut |done| {
        seen.push((done.step, done.steps));
        if done.step == 3 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert!(matches!(result, Err(RunError::Canceled)));
    assert_eq!(seen, [(1, 4), (2, 4), (3, 4)]);
}

#[test]
fn a_state_of_another_run_is_refused() {
    let pipeline = tiny();
    let run = tiny_run(&pipeline, "a star");
    let mut saved = None;
    pipeline
        .run(&run, &mut |done| {
            saved = Some(done.state().expect("a state"));
            ControlFlow::Continue(())
        })
        .expect("a picture");
    let state = saved.expect("saved");
    let wider = Run { width: 96, ..run };
    let refused = pipeline.resume(&wider, &state, &mut |_| ControlFlow::Continue(()));
    assert!(matches!(refused, Err(RunError::State(_))), "{refused:?}");
    let none = Run {
        images: 0,
        ..tiny_run(&pipeline, "a star")
    };
    let refused = pipeline.resume(&none, &state, &mut |_| ControlFlow::Continue(()));
    assert!(matches!(refused, Err(RunError::State(_))), "{refused:?}");
    let bytes = state.to_bytes().expect("bytes");
    for broken in [&bytes[..20], &bytes[..bytes.len() - 4], b"{}"] {
        assert!(matches!(
            RunState::from_bytes(broken),
            Err(RunError::State(_))
        ));
    }
}

#[test]
fn two_halves_are_a_whole() {
    let pipeline = tiny();
    let run = Run {
        steps: Steps::Count(8),
        ..tiny_run(&pipeline, "a red fox")
    };
    let first = Run {
        denoising_end: Some(0.5),
        ..run.clone()
    };
    let latents = pipeline.latents(&first, &mut |_| ControlFlow::Continue(()));
    let latents = latents.expect("latents");
    let second = Run {
        denoising_start: Some(0.5),
        start: Start::Latents(latents),
        ..run.clone()
    };
    assert_eq!(picture(&pipeline, &second), picture(&pipeline, &run));
}

#[test]
fn what_is_brought_to_the_device_for_each_use_computes_the_same() {
    let kept = tiny();
    let offloaded = Pipeline::load(
        &fixtures().join("pipeline"),
        LoadOptions {
            offload: true,
            ..on_cpu()
        },
    )
    .expect("the tiny model");
    let run = tiny_run(&kept, "a red fox");
    assert_eq!(picture(&kept, &run), picture(&offloaded, &run));
}

#[test]
fn tiles_are_taken_where_a_picture_is_larger_and_make_nearly_the_same() {
    let tiled = |vae_tile| {
        let options = LoadOptions {
            vae_tile: Some(vae_tile),
            ..on_cpu()
        };
        Pipeline::load(&fixtures().join("pipeline"), options).expect("the tiny model")
    };
    let whole = tiny();
    let run = tiny_run(&whole, "a red fox");
    let expected = picture(&whole, &run);
    // 8×8 latents.
    assert_eq!(picture(&tiled(8), &run), expected);
    let in_tiles = picture(&tiled(4), &run);
    assert_ne!(in_tiles, expected);
    let mean = mean_difference(&in_tiles, &expected);
    assert!(mean < 32.0, "off by {mean} of 255 in the mean");
}

/// How far bytes are apart in the mean.
fn mean_difference(a: &Picture, b: &Picture) -> f64 {
    assert_eq!(a.rgb.len(), b.rgb.len());
    let pairs = a.rgb.iter().zip(&b.rgb);
    let off: u64 = pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    off as f64 / a.rgb.len() as f64
}

#[test]
fn half_the_bits_make_nearly_the_same_picture() {
    let whole = tiny();
    let half = Pipeline::load(
        &fixtures().join("pipeline"),
        LoadOptions {
            precision: Precision::F16,
            ..on_cpu()
        },
    )
    .expect("the tiny model");
    let run = Run {
        steps: Steps::Count(2),
        guidance: GuidanceOptions {
            scale: 1.0,
            ..GuidanceOptions::default()
        },
        ..tiny_run(&whole, "a red fox")
    };
    let (whole, half) = (picture(&whole, &run), picture(&half, &run));
    let mean = mean_difference(&whole, &half);
    assert!(mean > 0.0 && mean < 8.0, "off by {mean} of 255 in the mean");
}

#[test]
fn loras_are_added_by_weight_and_leave_the_model_as_it_was() {
    let pipeline = tiny();
    let open = |name: &str| {
        let path = fixtures().join("lora").join(name);
        Arc::new(pipeline.load_lora(&path).expect("a LoRA"))
    };
    let (peft, kohya) = (open("peft.safetensors"), open("kohya.safetensors"));
    let plain = tiny_run(&pipeline, "a red fox");
    let before = picture(&pipeline, &plain);
    let with = |loras| {
        let run = Run {
            loras,
            ..plain.clone()
        };
        picture(&pipeline, &run)
    };
    let once = with(vec![(Arc::clone(&peft), 0.8)]);
    assert_ne!(once, before);
    // One LoRA in halves is the whole, but for the last bits.
    let halves = with(vec![(Arc::clone(&peft), 0.4), (kohya, 0.4)]);
    let pairs = once.rgb.iter().zip(&halves.rgb);
    let most = pairs.map(|(a, b)| a.abs_diff(*b)).max();
    assert!(most <= Some(2), "{most:?}");
    assert_ne!(with(vec![(Arc::clone(&peft), 0.4)]), once);
    assert_eq!(with(vec![(peft, 0.0)]), before);
    assert_eq!(picture(&pipeline, &plain), before);
}

#[test]
fn an_empty_second_prompt_is_the_first_and_spacing_can_be_chosen() {
    let pipeline = tiny();
    let plain = tiny_run(&pipeline, "a red fox");
    let second = Run {
        prompt_2: Some(String::new()),
        ..plain.clone()
    };
    assert_eq!(picture(&pipeline, &second), picture(&pipeline, &plain));
    let trailing = Run {
        timestep_spacing: Some(TimestepSpacing::Trailing),
        ..plain.clone()
    };
    assert_ne!(picture(&pipeline, &trailing), picture(&pipeline, &plain));
}

#[test]
fn guidance_can_end_early() {
    let pipeline = tiny();
    let with = |end| {
        let run = Run {
            guidance: GuidanceOptions {
                scale: 5.0,
                rescale: 0.0,
                end,
            },
            ..tiny_run(&pipeline, "a red fox")
        };
        picture(&pipeline, &run)
    };
    let none = Run {
        guidance: GuidanceOptions {
            scale: 1.0,
            ..GuidanceOptions::default()
        },
        ..tiny_run(&pipeline, "a red fox")
    };
    assert_eq!(with(0.0), picture(&pipeline, &none));
    assert_ne!(with(0.5), with(0.0));
    assert_ne!(with(0.5), with(1.0));
}

#[test]
fn long_and_weighted_prompts_are_not_cut_or_ignored() {
    let pipeline = tiny();
    let with = |prompt: &str, syntax| {
        let run = Run {
            syntax,
            ..tiny_run(&pipeline, prompt)
        };
        picture(&pipeline, &run)
    };
    let long = format!("{} fox", "snow ".repeat(90));
    let other = format!("{} cat", "snow ".repeat(90));
    assert_ne!(
        with(&long, PromptSyntax::Plain),
        with(&other, PromptSyntax::Plain)
    );
    // The words beyond the window are what diffusers drops.
    let truncated = PromptSyntax::Truncated;
    assert_eq!(with(&long, truncated), with(&other, truncated));
    let weighted = PromptSyntax::Weighted;
    assert_ne!(
        with("a (red:1.5) fox", weighted),
        with("a red fox", weighted)
    );
    assert_eq!(
        with("a red fox", weighted),
        with("a red fox", PromptSyntax::Plain)
    );
}

/// What makes a run one that is refused.
type Change = Box<dyn Fn(&mut Run)>;

/// A grey picture.
fn grey(width: u32, height: u32) -> Picture {
    Picture {
        width,
        height,
        rgb: vec![128; (3 * width * height) as usize],
    }
}

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

#[test]
fn a_folder_without_defaults_has_customary_ones() {
    let pipeline = load(&fixtures().join("pipeline")).expect("the tiny model");
    let defaults = pipeline.defaults();
    assert_eq!((defaults.width, defaults.height), (128, 128));
    assert_eq!((defaults.steps, defaults.scheduler.as_str()), (30, "euler"));
}
