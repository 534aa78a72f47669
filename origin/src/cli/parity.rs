//! `darkroom parity`

use std::io;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use clap::Args;
use darkroom_origin::config::settings;
use darkroom_sdxl::parity::{self, ParityOptions};
use darkroom_sdxl::{DeviceKind, Precision};
use serde_json::json;

use super::{Failure, print};

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
    /// Print how many agree as JSON, and no line for each
    #[arg(long)]
    json: bool,
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
    let mut lines: Box<dyn io::Write> = if args.json {
        Box::new(io::sink())
    } else {
        Box::new(io::stdout().lock())
    };
    let summary = parity::run(&args.folder, options, &mut lines)
        .with_context(|| format!("cannot compare with `{}`", args.folder.display()))?;
    drop(lines);
    if args.json {
        print::json(&json!({
            "passed": summary.passed,
            "failed": summary.failed,
            "skipped": summary.skipped,
        }))?;
    }
    if summary.failed > 0 {
        return Err(Failure::Run(anyhow!(
            "{} of {} comparisons do not agree",
            summary.failed,
            summary.failed + summary.passed
        )));
    }
    Ok(())
}
