//! Parity: does this engine, on this device, compute what diffusers computed?
//!
//! A folder holds `cases.json`, `reference.safetensors` and the weights they were made with.
//! Every case is one stage or one whole run; its inputs and results are tensors named
//! `<case>.<part>`. [`run`] goes through all of them, prints a line a case and closes with
//! `N passed, M failed, K skipped`.
//!
//! The relative error is max |ours − reference| ÷ max |reference|. Single stages agree within
//! 1e-4; a whole run within the larger of 1e-3 and three times what a nudge of its start by
//! 1e-6 did to the reference itself, since no engine can be steadier than that. Where a case does
//! not say what it did, as with runs that begin with a picture, it is measured here. In f16 the
//! cosine of whatever a network computed is at least 0.999, in bf16 at least 0.98; a step or a run
//! that latents rounded to 16 bits lead elsewhere may be three times as far off as those lead it.

mod call;
mod compare;
mod controls;
mod fixtures;
mod loras;
mod noise;
mod nudge;
mod runs;
mod schedulers;
mod text;
mod tokens;
mod unet;
mod vae;

use std::io::Write;
use std::path::Path;

use burn::tensor::{DType, Device, Tensor};

use crate::model::{ModelFiles, Network, Part, PartFiles};
use crate::pipeline::read;
use crate::weights::Target;
use crate::{DeviceKind, LoadError, LoadOptions, Pipeline, Precision, RunError};
use compare::{Comparison, STAGE};
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

/// Where and in what type to compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParityOptions {
    /// Where.
    pub device: DeviceKind,
    /// Type of every network's numbers.
    pub precision: Precision,
}

/// A folder, and where its cases are computed.
struct Setup {
    fixtures: Fixtures,
    device: Device,
    dtype: DType,
    options: ParityOptions,
}

impl Setup {
    /// One network of a folder.
    fn network<N: Network>(&self, folder: &str) -> Result<Part<N>, LoadError> {
        self.load(PartFiles::folder(&self.fixtures.path(folder))?)
    }

    fn load<N: Network>(&self, files: PartFiles<N::Config>) -> Result<Part<N>, LoadError> {
        Part::load(files, Target::quiet(&self.device, self.dtype), true)
    }

    /// A whole model.
    fn pipeline(&self, files: ModelFiles) -> Result<Pipeline, LoadError> {
        let options = LoadOptions {
            device: self.options.device,
            precision: self.options.precision,
            // Not in 16 bits: nobody decodes SDXL's latents so.
            vae_precision: Precision::F32,
            ..LoadOptions::default()
        };
        Pipeline::from_files(&self.fixtures.path("."), files, options)
    }

    /// What a network is asked, in the type that it computes in.
    fn input<const D: usize>(&self, case: &Case, part: &str) -> Result<Tensor<D>, CaseError> {
        let tensor = self.fixtures.tensor(case, part, &self.device)?;
        Ok(tensor.cast(self.dtype))
    }

    /// Compares what a network computed with a part of the case.
    fn stage<const D: usize>(
        &self,
        case: &Case,
        part: &str,
        ours: Tensor<D>,
    ) -> Result<Comparison, CaseError> {
        let (reference, _) = self.fixtures.values(case, part)?;
        let measure = STAGE.of(self.options.precision);
        Ok(Comparison::new(part, &read(ours)?, &reference, measure))
    }
}

/// Runs every case of a folder and reports to `out`.
///
/// # Errors
/// [`ParityError`] where the folder or the device cannot be used; a case that fails is counted,
/// not an error.
pub fn run(
    folder: &Path,
    options: ParityOptions,
    out: &mut dyn Write,
) -> Result<Summary, ParityError> {
    let device = options.device.select()?;
    let setup = Setup {
        fixtures: Fixtures::open(folder)?,
        dtype: options.precision.on(&device)?,
        device,
        options,
    };
    let mut summary = Summary::default();
    for case in setup.fixtures.cases() {
        match check(&setup, case) {
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

fn check(setup: &Setup, case: &Case) -> Result<Outcome, CaseError> {
    match case.kind.as_str() {
        "tokens" => tokens::check(&setup.fixtures, case),
        "text_encoder" => text::check_encoder(setup, case),
        "encode_prompt" => text::check_prompt(setup, case),
        "unet" => unet::check(setup, case),
        "vae" => vae::check(setup, case),
        "scheduler" => schedulers::check(setup, case),
        "torch_rng" => noise::check(&setup.fixtures, case),
        "run" => runs::check(setup, case),
        "lora_text" => loras::check(setup, case),
        "controlnet" => controls::check_controlnet(setup, case),
        "t2i_adapter" => controls::check_adapter(setup, case),
        "canny" => controls::check_canny(setup, case),
        "autoencoder_tiny" => vae::check_tiny(setup, case),
        other => Ok(Outcome::Skipped(format!("kind `{other}` is not known"))),
    }
}
