//! What runs and loads may be told.

mod support;

use std::sync::Arc;

use darkroom_sdxl::scheduler::{Steps, TimestepSpacing};
use darkroom_sdxl::text::PromptSyntax;
use darkroom_sdxl::{GuidanceOptions, LoadOptions, Picture, Pipeline, Precision, Run};
use support::{fixtures, load, on_cpu, picture, tiny, tiny_run};

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

#[test]
fn a_folder_without_defaults_has_customary_ones() {
    let pipeline = load(&fixtures().join("pipeline")).expect("the tiny model");
    let defaults = pipeline.defaults();
    assert_eq!((defaults.width, defaults.height), (128, 128));
    assert_eq!((defaults.steps, defaults.scheduler.as_str()), (30, "euler"));
}
