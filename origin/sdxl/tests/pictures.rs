//! Prompts become the pictures they describe.

mod support;

use std::sync::LazyLock;

use darkroom_sdxl::scheduler::Steps;
use darkroom_sdxl::{GuidanceOptions, Mask, Picture, Pipeline, Run, Start};
use std::ops::ControlFlow;
use support::{colour_at, demo_model, load, picture};

static PIPELINE: LazyLock<Pipeline> =
    LazyLock::new(|| load(&demo_model()).expect("the demo model"));

fn request(prompt: &str, seed: u64) -> Run {
    Run {
        seed,
        ..PIPELINE.defaults().run(prompt)
    }
}

fn assert_corners(picture: &Picture, colour: &str) {
    let (right, bottom) = (picture.width - 7, picture.height - 7);
    for (x, y) in [(6, 6), (right, 6), (6, bottom), (right, bottom)] {
        assert_eq!(colour_at(picture, x, y, 4), colour, "corner {x} {y}");
    }
}

#[test]
fn shapes_and_backgrounds_have_the_colours_of_their_prompts() {
    let prompts = [
        ("red", "circle", "blue", "euler"),
        ("green", "square", "yellow", "euler"),
        ("yellow", "circle", "purple", "dpmpp_2m_karras"),
        ("blue", "diamond", "orange", "dpmpp_2m"),
        ("purple", "square", "green", "euler_karras"),
        ("red", "square", "white", "unipc"),
        ("green", "circle", "black", "ddim"),
        ("blue", "circle", "yellow", "heun"),
        ("orange", "square", "blue", "dpmpp_sde"),
        ("white", "circle", "red", "euler_a"),
        ("yellow", "square", "blue", "lms"),
    ];
    for (seed, (colour, shape, background, scheduler)) in (1..).zip(prompts) {
        let prompt = format!("a {colour} {shape} on a {background} background");
        let picture = picture(
            &PIPELINE,
            &Run {
                scheduler: scheduler.to_owned(),
                ..request(&prompt, seed)
            },
        );
        let middle = colour_at(&picture, 64, 64, 4);
        assert_eq!(middle, colour, "{prompt}, {scheduler}: middle");
        assert_corners(&picture, background);
    }
}

#[test]
fn a_picture_is_made_anew_only_where_the_mask_says() {
    let before = picture(&PIPELINE, &request("a red circle on a blue background", 1));
    let side = before.width;
    let inside = |i: u32| (24..side - 24).contains(&i);
    let mask = Mask {
        width: side,
        height: side,
        values: (0..side * side)
            .map(|i| {
                if inside(i % side) && inside(i / side) {
                    255
                } else {
                    0
                }
            })
            .collect(),
    };
    let after = picture(
        &PIPELINE,
        &Run {
            start: Start::Inpaint {
                image: before.clone(),
                mask,
                strength: 1.0,
            },
            ..request("a yellow square on a blue background", 2)
        },
    );
    assert_eq!(colour_at(&before, 64, 64, 4), "red");
    assert_eq!(colour_at(&after, 64, 64, 4), "yellow");
    assert_corners(&after, "blue");
}

#[test]
fn a_picture_that_is_hardly_changed_keeps_its_colours() {
    let before = picture(&PIPELINE, &request("a red circle on a blue background", 1));
    let after = picture(
        &PIPELINE,
        &Run {
            start: Start::Image {
                image: before.clone(),
                strength: 0.2,
            },
            ..request("a red circle on a blue background", 3)
        },
    );
    assert_ne!(before, after);
    assert_eq!(colour_at(&after, 64, 64, 4), "red");
    assert_corners(&after, "blue");
}

#[test]
fn previews_come_to_look_like_the_picture() {
    let mut last = None;
    let pictures = PIPELINE.run(
        &request("a green square on a yellow background", 4),
        &mut |done| {
            last = Some(done.preview().expect("a preview"));
            ControlFlow::Continue(())
        },
    );
    pictures.expect("a picture");
    let preview = last.expect("a preview");
    assert_eq!((preview.width, preview.height), (16, 16));
    assert_eq!(colour_at(&preview, 8, 8, 1), "green");
    assert_eq!(colour_at(&preview, 1, 1, 1), "yellow");
}

#[test]
fn other_sizes_and_no_guidance_work() {
    let wide = picture(
        &PIPELINE,
        &Run {
            width: 96,
            height: 72,
            steps: Steps::Count(2),
            guidance: GuidanceOptions {
                scale: 1.0,
                ..GuidanceOptions::default()
            },
            ..request("a red circle", 1)
        },
    );
    assert_eq!(wide.rgb.len(), 3 * 96 * 72);
}
