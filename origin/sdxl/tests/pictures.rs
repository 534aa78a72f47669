//! Prompts become the pictures they describe, and bad input an error that says what and where.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use darkroom_sdxl::{DeviceKind, LoadError, Picture, Pipeline, RunError, TextToImage};

fn demo_model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo-model")
}

static PIPELINE: LazyLock<Pipeline> =
    LazyLock::new(|| Pipeline::load(&demo_model(), DeviceKind::Cpu).expect("the demo model"));

fn request(prompt: &str, seed: u64) -> TextToImage {
    let defaults = PIPELINE.defaults();
    TextToImage {
        prompt: prompt.to_owned(),
        negative_prompt: None,
        width: defaults.width,
        height: defaults.height,
        steps: defaults.steps,
        guidance_scale: defaults.guidance_scale,
        scheduler: defaults.scheduler,
        seed,
    }
}

fn paint(request: &TextToImage) -> Picture {
    PIPELINE
        .text_to_image(request, &mut |_| ControlFlow::Continue(()))
        .expect("a picture")
}

/// Mean colour of a square of pixels around a point.
fn colour_at(picture: &Picture, x: u32, y: u32, radius: u32) -> [f64; 3] {
    let mut sum = [0.0; 3];
    let mut count = 0.0;
    for y in y - radius..=y + radius {
        for x in x - radius..=x + radius {
            let at = 3 * (y * picture.width + x) as usize;
            for (sum, byte) in sum.iter_mut().zip(&picture.rgb[at..at + 3]) {
                *sum += f64::from(*byte);
            }
            count += 1.0;
        }
    }
    sum.map(|sum| sum / count)
}

/// The palette that the demo model was trained on (`scripts/train-demo/train_demo.py`).
const PALETTE: [(&str, [f64; 3]); 9] = [
    ("red", [220.0, 40.0, 40.0]),
    ("green", [40.0, 160.0, 60.0]),
    ("blue", [40.0, 80.0, 210.0]),
    ("yellow", [245.0, 215.0, 50.0]),
    ("purple", [130.0, 50.0, 160.0]),
    ("orange", [245.0, 135.0, 30.0]),
    ("white", [248.0, 248.0, 248.0]),
    ("black", [20.0, 20.0, 20.0]),
    ("pink", [245.0, 150.0, 190.0]),
];

fn nearest(colour: [f64; 3]) -> &'static str {
    let distance =
        |other: &[f64; 3]| -> f64 { colour.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum() };
    PALETTE
        .iter()
        .min_by(|a, b| distance(&a.1).total_cmp(&distance(&b.1)))
        .expect("a palette")
        .0
}

#[test]
fn shapes_and_backgrounds_have_the_colours_of_their_prompts() {
    let prompts = [
        ("red", "circle", "blue", "euler"),
        ("green", "square", "yellow", "euler"),
        ("yellow", "circle", "purple", "dpmpp_2m_karras"),
        ("blue", "diamond", "orange", "dpmpp_2m"),
        ("purple", "square", "green", "euler_karras"),
    ];
    for (seed, (colour, shape, background, scheduler)) in (1..).zip(prompts) {
        let prompt = format!("a {colour} {shape} on a {background} background");
        let picture = paint(&TextToImage {
            scheduler: scheduler.to_owned(),
            ..request(&prompt, seed)
        });
        assert_eq!(
            nearest(colour_at(&picture, 64, 64, 4)),
            colour,
            "{prompt}: middle"
        );
        for (x, y) in [(6, 6), (121, 6), (6, 121), (121, 121)] {
            let found = nearest(colour_at(&picture, x, y, 4));
            assert_eq!(found, background, "{prompt}: corner {x} {y}");
        }
    }
}

#[test]
fn a_seed_decides_the_bytes_alone_and_beside_other_runs() {
    let run = TextToImage {
        steps: 4,
        ..request("a red circle on a blue background", 5)
    };
    let alone = paint(&run);
    assert_ne!(
        alone,
        paint(&TextToImage {
            seed: 6,
            ..run.clone()
        })
    );
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..3).map(|_| scope.spawn(|| paint(&run))).collect();
        for other in runs {
            assert_eq!(other.join().expect("a picture"), alone);
        }
    });
}

#[test]
fn a_run_can_be_canceled_after_any_step() {
    let mut seen = Vec::new();
    let result = PIPELINE.text_to_image(&request("a star", 1), &mut |done| {
        seen.push(done.step);
        if done.step == 3 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert!(matches!(result, Err(RunError::Canceled)));
    assert_eq!(seen, [1, 2, 3]);
}

#[test]
fn other_sizes_and_no_guidance_work() {
    let wide = paint(&TextToImage {
        width: 96,
        height: 72,
        steps: 2,
        guidance_scale: 1.0,
        ..request("a red circle", 1)
    });
    assert_eq!(wide.rgb.len(), 3 * 96 * 72);
}

#[test]
fn values_the_model_does_not_take_are_refused_by_name() {
    let wrong = [
        (
            "width",
            TextToImage {
                width: 7,
                ..request("p", 1)
            },
        ),
        (
            "height",
            TextToImage {
                height: 0,
                ..request("p", 1)
            },
        ),
        (
            "steps",
            TextToImage {
                steps: 0,
                ..request("p", 1)
            },
        ),
        (
            "scheduler",
            TextToImage {
                scheduler: "magic".to_owned(),
                ..request("p", 1)
            },
        ),
    ];
    for (name, run) in wrong {
        let error = PIPELINE
            .text_to_image(&run, &mut |_| ControlFlow::Continue(()))
            .expect_err("refused");
        assert!(
            matches!(error, RunError::Invalid { field, .. } if field == name),
            "{error}"
        );
    }
}

/// A copy of the demo model with one file changed.
fn broken(file: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) -> LoadError {
    let copy = tempfile::tempdir().expect("a folder");
    for entry in fs::read_dir(demo_model()).expect("the model") {
        let entry = entry.expect("an entry");
        let target = copy.path().join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&target).expect("a folder");
            for inner in fs::read_dir(entry.path()).expect("a folder") {
                let inner = inner.expect("an entry");
                fs::copy(inner.path(), target.join(inner.file_name())).expect("copied");
            }
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
    let path = copy.path().join(file);
    let bytes = fs::read(&path).expect("the file");
    fs::write(&path, change(bytes)).expect("written");
    Pipeline::load(copy.path(), DeviceKind::Cpu).expect_err("refused")
}

#[test]
fn broken_checkpoints_are_refused_with_file_and_reason() {
    let unet = "unet/diffusion_pytorch_model.safetensors";
    let rename = |from: &str, to: &str| {
        let (from, to) = (from.to_owned(), to.to_owned());
        move |bytes: Vec<u8>| {
            let text = String::from_utf8_lossy(&bytes[8..4096]).into_owned();
            let at = 8 + text.find(&from).expect("a name in the header");
            let mut bytes = bytes;
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            bytes
        }
    };
    let truncated = broken(unet, |bytes| bytes[..bytes.len() / 2].to_vec());
    assert!(
        matches!(truncated, LoadError::Safetensors { .. }),
        "{truncated}"
    );
    let renamed = broken(
        unet,
        rename("add_embedding.linear_1.bias", "add_embedding.linear_1.bios"),
    );
    let text = renamed.to_string();
    assert!(
        text.contains("`add_embedding.linear_1.bias`") && text.contains("missing"),
        "{text}"
    );
    let narrower = broken("unet/config.json", |bytes| {
        let text = String::from_utf8(bytes).expect("text");
        text.replace("\"cross_attention_dim\": 96", "\"cross_attention_dim\": 80")
            .into_bytes()
    });
    let text = narrower.to_string();
    assert!(
        text.contains("attn2.to_k.weight") && text.contains("80"),
        "{text}"
    );
    let shallower = broken("text_encoder/config.json", |bytes| {
        let text = String::from_utf8(bytes).expect("text");
        text.replace("\"num_hidden_layers\": 3", "\"num_hidden_layers\": 2")
            .into_bytes()
    });
    assert!(
        shallower.to_string().contains("encoder.layers.2"),
        "{shallower}"
    );
    let no_json = broken("vae/config.json", |_| b"{".to_vec());
    assert!(matches!(no_json, LoadError::Config { .. }), "{no_json}");
}
