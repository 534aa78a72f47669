//! What several tests need.

#![allow(dead_code, reason = "each test uses some of it")]

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use darkroom_sdxl::{DeviceKind, LoadError, LoadOptions, Picture, Pipeline, Run, RunError};

/// The little model that draws what it is told.
pub fn demo_model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo-model")
}

/// The tiny models with random weights.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

pub fn on_cpu<'a>() -> LoadOptions<'a> {
    LoadOptions {
        device: DeviceKind::Cpu,
        ..LoadOptions::default()
    }
}

pub fn load(path: &Path) -> Result<Pipeline, LoadError> {
    Pipeline::load(path, on_cpu())
}

/// The tiny model with random weights: a step takes milliseconds.
pub fn tiny() -> Pipeline {
    load(&fixtures().join("pipeline")).expect("the tiny model")
}

/// Waves of colours: not the same anywhere.
pub fn waves(width: u32, height: u32) -> Picture {
    let pixel = |x: u32, y: u32| [x * 7, y * 5, x * y].map(|value| (value % 256) as u8);
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    Picture {
        width,
        height,
        rgb: places.flat_map(|(x, y)| pixel(x, y)).collect(),
    }
}

/// A run of the tiny model.
pub fn tiny_run(pipeline: &Pipeline, prompt: &str) -> Run {
    Run {
        width: 64,
        height: 64,
        steps: darkroom_sdxl::scheduler::Steps::Count(4),
        ..pipeline.defaults().run(prompt)
    }
}

/// All pictures of a run.
pub fn pictures(pipeline: &Pipeline, run: &Run) -> Result<Vec<Picture>, RunError> {
    pipeline.run(run, &mut |_| ControlFlow::Continue(()))
}

/// The only picture of a run.
pub fn picture(pipeline: &Pipeline, run: &Run) -> Picture {
    let mut pictures = pictures(pipeline, run).expect("a picture");
    assert_eq!(pictures.len(), 1);
    pictures.remove(0)
}

pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// A copy of a fixture with some of its configuration replaced.
pub fn changed(name: &str, from: &str, to: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    copy_folder(&fixtures().join(name), copy.path());
    let path = copy.path().join("config.json");
    let config = fs::read_to_string(&path).expect("a configuration");
    assert!(config.contains(from), "{config}");
    fs::write(path, config.replace(from, to)).expect("written");
    copy
}

/// A safetensors file's bytes, with where a tensor's own begin.
pub fn tensor_at(bytes: &[u8], name: &str) -> usize {
    let header = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
    let names: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).expect("JSON");
    let offset = &names[name]["data_offsets"][0];
    8 + header + offset.as_u64().expect("an offset") as usize
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

/// The palette's colour that is nearest to the mean of a square of pixels around a point.
pub fn colour_at(picture: &Picture, x: u32, y: u32, radius: u32) -> &'static str {
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
    nearest(sum.map(|sum| sum / count))
}

fn nearest(colour: [f64; 3]) -> &'static str {
    let distance =
        |other: &[f64; 3]| -> f64 { colour.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum() };
    PALETTE
        .iter()
        .min_by(|a, b| distance(&a.1).total_cmp(&distance(&b.1)))
        .expect("a palette")
        .0
}
