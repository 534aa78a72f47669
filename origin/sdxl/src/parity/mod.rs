//! Parity: does this engine, on this device, compute what diffusers computed?
//!
//! A folder holds `cases.json`, `reference.safetensors` and the weights they were made with.
//! Every case is one stage or one whole run; its inputs and results are tensors named
//! `<case>.<part>`. [`run`] goes through all of them, prints a line a case and closes with
//! `N passed, M failed, K skipped`.
//!
//! The relative error is max |ours − reference| ÷ max |reference|. Single stages agree within
//! 1e-4; a whole run within the larger of 1e-3 and three times what a nudge of its start by
//! 1e-6 did to the reference itself, since no engine can be steadier than that.

mod compare;
mod fixtures;
mod runs;
mod schedulers;
mod text;
mod tokens;
mod unet;
mod vae;

use std::io::Write;
use std::path::Path;

use burn::tensor::Device;

use crate::{DeviceKind, LoadError, RunError};
use compare::Comparison;
use fixtures::{Case, Fixtures};

/// How the cases went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Within tolerance.
    pub passed: usize,
    /// Beyond it, or broken off by an error.
    pub failed: usize,
    /// Of a kind, or with options, that this version does not know.
    pub skipped: usize,
}

/// A folder that cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum ParityError {
    /// `cases.json`, the reference or a part of the weights.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The report could not be written.
    #[error("cannot write the report")]
    Write(#[from] std::io::Error),
}

/// What came of one case.
enum Outcome {
    Compared(Vec<Comparison>),
    Skipped(String),
}

/// Why a case was broken off.
#[derive(Debug, thiserror::Error)]
enum CaseError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("cases.json: {0}")]
    Form(String),
}

/// Runs every case of a folder on a device and reports to `out`.
///
/// # Errors
/// [`ParityError`] where the folder or the device cannot be used; a case that fails is counted,
/// not an error.
pub fn run(folder: &Path, device: DeviceKind, out: &mut dyn Write) -> Result<Summary, ParityError> {
    let device = device.select()?;
    let fixtures = Fixtures::open(folder)?;
    let mut summary = Summary::default();
    for case in fixtures.cases() {
        match check(&fixtures, case, &device) {
            Ok(Outcome::Skipped(reason)) => {
                summary.skipped += 1;
                writeln!(out, "SKIP {:<13} {:<28} {reason}", case.kind, case.name)?;
            }
            Ok(Outcome::Compared(parts)) => {
                let worst = compare::worst(&parts);
                let passed = worst.is_some_and(Comparison::agrees);
                summary.passed += usize::from(passed);
                summary.failed += usize::from(!passed);
                let word = if passed { "PASS" } else { "FAIL" };
                let figures = worst.map_or("compared nothing".to_owned(), ToString::to_string);
                writeln!(out, "{word} {:<13} {:<28} {figures}", case.kind, case.name)?;
            }
            Err(error) => {
                summary.failed += 1;
                let cause = chain(&error);
                writeln!(out, "FAIL {:<13} {:<28} {cause}", case.kind, case.name)?;
            }
        }
    }
    let Summary {
        passed,
        failed,
        skipped,
    } = summary;
    writeln!(out, "{passed} passed, {failed} failed, {skipped} skipped")?;
    Ok(summary)
}

/// An error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn check(fixtures: &Fixtures, case: &Case, device: &Device) -> Result<Outcome, CaseError> {
    match case.kind.as_str() {
        "tokens" => tokens::check(fixtures, case),
        "text_encoder" => text::check_encoder(fixtures, case, device),
        "encode_prompt" => text::check_prompt(fixtures, case, device),
        "unet" => unet::check(fixtures, case, device),
        "vae" => vae::check(fixtures, case, device),
        "scheduler" => schedulers::check(fixtures, case, device),
        "run" => runs::check(fixtures, case, device),
        other => Ok(Outcome::Skipped(format!("kind `{other}` is not known"))),
    }
}
