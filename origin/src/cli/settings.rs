//! `darkroom settings`

use std::io::{self, Write as _};

use anyhow::Context as _;
use darkroom_origin::config::settings::markdown;

use super::Failure;

/// Prints the table that the README has.
pub fn run() -> Result<(), Failure> {
    io::stdout()
        .write_all(markdown().as_bytes())
        .context("the table cannot be printed")?;
    Ok(())
}
