//! `darkroom completions`

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use super::{Cli, Failure, print};

/// Prints what makes a shell complete the command's words.
pub fn run(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "darkroom", &mut script);
    print::text(&String::from_utf8_lossy(&script))
}
