//! Parity with diffusers through the public door, and proof that it can fail.

use std::fs;
use std::path::{Path, PathBuf};

use darkroom_sdxl::DeviceKind;
use darkroom_sdxl::parity::{self, Summary};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn run(folder: &Path) -> (Summary, String) {
    let mut report = Vec::new();
    let summary = parity::run(folder, DeviceKind::Cpu, &mut report).expect("a usable folder");
    (summary, String::from_utf8(report).expect("text"))
}

#[test]
fn every_known_case_agrees_with_diffusers() {
    let (summary, report) = run(&fixtures());
    assert_eq!(summary.failed, 0, "{report}");
    assert!(summary.passed >= 40, "{report}");
    let closing = format!(
        "{} passed, 0 failed, {} skipped",
        summary.passed, summary.skipped
    );
    assert_eq!(report.lines().last(), Some(closing.as_str()));
}

/// Copies the fixtures with one weight of the UNet changed a little.
fn perturbed() -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    copy_folder(&fixtures(), copy.path());
    let path = copy
        .path()
        .join("pipeline/unet/diffusion_pytorch_model.safetensors");
    let mut bytes = fs::read(&path).expect("weights");
    let header = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
    let names: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).expect("JSON");
    let offset = &names["conv_out.weight"]["data_offsets"][0];
    let at = 8 + header + offset.as_u64().expect("an offset") as usize;
    let weight = f32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
    bytes[at..at + 4].copy_from_slice(&(weight + 0.05).to_le_bytes());
    fs::write(&path, bytes).expect("written");
    copy
}

fn copy_folder(from: &Path, to: &Path) {
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

#[test]
fn one_changed_weight_is_noticed() {
    let folder = perturbed();
    let (summary, report) = run(folder.path());
    assert!(summary.failed > 0, "{report}");
    assert!(report.contains("FAIL unet          unet_a"), "{report}");
    assert!(report.contains("PASS vae           vae_a"), "{report}");
}

#[test]
fn a_folder_without_cases_is_an_error_that_names_the_file() {
    let empty = tempfile::tempdir().expect("a folder");
    let error = parity::run(empty.path(), DeviceKind::Cpu, &mut Vec::new()).expect_err("refused");
    assert!(error.to_string().contains("cases.json"), "{error}");
}
