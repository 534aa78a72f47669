//! `darkroom parity`

use std::io;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use clap::Args;
use darkroom_origin::config::settings;
use darkroom_sdxl::parity::{self, ParityOptions};
use darkroom_sdxl::{DeviceKind, Precision};

use super::Failure;

/// What `darkroom parity` takes.
#[derive(Debug, Args)]
pub struct ParityArgs {
    /// Folder of reference tensors
    folder: PathBuf,
    /// What computes: auto, cpu or gpu
    #[arg(long, env = settings::DEVICE.name, default_value = settings::DEVICE.default)]
    device: DeviceKind,
    /// Type of the numbers: f32, f16 or bf16
    #[arg(long, default_value = "f32")]
    dtype: Precision,
}

/// Prints a line for each stage; fails where any does not agree.
pub fn run(args: &ParityArgs) -> Result<(), Failure> {
    if !args.folder.is_dir() {
        return Err(Failure::Input(anyhow!(
            "the folder `{}` does not exist",
            args.folder.display()
        )));
    }
    let options = ParityOptions {
        device: args.device,
        precision: args.dtype,
    };
    let summary = parity::run(&args.folder, options, &mut io::stdout().lock())
        .with_context(|| format!("cannot compare with `{}`", args.folder.display()))?;
    if summary.failed > 0 {
        return Err(Failure::Run(anyhow!(
            "{} of {} comparisons do not agree",
            summary.failed,
            summary.failed + summary.passed
        )));
    }
    Ok(())
}
