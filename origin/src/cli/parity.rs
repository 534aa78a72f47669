//! `darkroom parity`

use std::io;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use clap::Args;
use darkroom_origin::config::settings;
use darkroom_sdxl::{DeviceKind, parity};

use super::Failure;

/// What `darkroom parity` takes.
#[derive(Debug, Args)]
pub struct ParityArgs {
    /// Folder of reference tensors
    folder: PathBuf,
    /// What computes: auto, cpu or gpu
    #[arg(long, env = settings::DEVICE.name, default_value = settings::DEVICE.default)]
    device: DeviceKind,
}

/// Prints a line for each stage; fails where any does not agree.
pub fn run(args: &ParityArgs) -> Result<(), Failure> {
    if !args.folder.is_dir() {
        return Err(Failure::Input(anyhow!(
            "the folder `{}` does not exist",
            args.folder.display()
        )));
    }
    let summary = parity::run(&args.folder, args.device, &mut io::stdout().lock())
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
