//! Parity with diffusers through the public door, and proof that it can fail.

mod support;

use std::fs;
use std::path::Path;

use darkroom_sdxl::parity::{self, ParityOptions, Summary};
use darkroom_sdxl::{DeviceKind, Precision};
use support::{copy_folder, fixtures, tensor_at};

fn on_cpu(precision: Precision) -> ParityOptions {
    ParityOptions {
        device: DeviceKind::Cpu,
        precision,
    }
}

fn run(folder: &Path, precision: Precision) -> (Summary, String) {
    let mut report = Vec::new();
    let summary = parity::run(folder, on_cpu(precision), &mut report).expect("a usable folder");
    (summary, String::from_utf8(report).expect("text"))
}

#[test]
fn every_case_agrees_with_diffusers() {
    let (summary, report) = run(&fixtures(), Precision::F32);
    assert_eq!((summary.failed, summary.skipped), (0, 0), "{report}");
    assert!(summary.passed >= 184, "{report}");
    let closing = format!("{} passed, 0 failed, 0 skipped", summary.passed);
    assert_eq!(report.lines().last(), Some(closing.as_str()));
}

#[test]
fn every_case_points_the_same_way_in_f16() {
    let (summary, report) = run(&fixtures(), Precision::F16);
    assert_eq!((summary.failed, summary.skipped), (0, 0), "{report}");
    assert!(summary.passed >= 184, "{report}");
}

/// Copies the fixtures with one weight of the UNet changed a little.
fn perturbed() -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    copy_folder(&fixtures(), copy.path());
    let path = copy
        .path()
        .join("pipeline/unet/diffusion_pytorch_model.safetensors");
    let mut bytes = fs::read(&path).expect("weights");
    let at = tensor_at(&bytes, "conv_out.weight");
    let weight = f32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
    bytes[at..at + 4].copy_from_slice(&(weight + 0.05).to_le_bytes());
    fs::write(&path, bytes).expect("written");
    copy
}

#[test]
fn one_changed_weight_is_noticed() {
    let folder = perturbed();
    let (summary, report) = run(folder.path(), Precision::F32);
    assert!(summary.failed > 0, "{report}");
    assert!(report.contains("FAIL unet          unet_a"), "{report}");
    assert!(report.contains("PASS vae           vae_a"), "{report}");
}

#[test]
fn a_folder_without_cases_is_an_error_that_names_the_file() {
    let empty = tempfile::tempdir().expect("a folder");
    let error = parity::run(empty.path(), on_cpu(Precision::F32), &mut Vec::new());
    let error = error.expect_err("refused");
    assert!(error.to_string().contains("cases.json"), "{error}");
}
