//! `cargo run -p darkroom-sdxl --example parity -- DIR [auto|cpu|gpu] [f32|f16|bf16]`: compares this
//! engine with the reference tensors in a folder.

use std::path::PathBuf;
use std::process::ExitCode;

use darkroom_sdxl::parity::{self, ParityOptions};

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("which folder?")?);
    let options = ParityOptions {
        device: arguments.next().unwrap_or("auto".to_owned()).parse()?,
        precision: arguments.next().unwrap_or("f32".to_owned()).parse()?,
    };
    let summary = parity::run(&folder, options, &mut std::io::stdout())?;
    Ok(ExitCode::from(u8::from(summary.failed > 0)))
}
