//! `cargo run -p darkroom-sdxl --example parity -- DIR [auto|cpu|gpu]`: compares this engine with
//! the reference tensors in a folder.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("which folder?")?);
    let device = arguments.next().unwrap_or("auto".to_owned()).parse()?;
    let summary = darkroom_sdxl::parity::run(&folder, device, &mut std::io::stdout())?;
    Ok(ExitCode::from(u8::from(summary.failed > 0)))
}
