//! `darkroom settings`

use clap::Args;
use darkroom_origin::config::settings;

use super::{Failure, print};

/// What `darkroom settings` takes.
#[derive(Debug, Args)]
pub struct SettingsArgs {
    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

/// Prints the table that the README has, or the same as JSON.
pub fn run(args: &SettingsArgs) -> Result<(), Failure> {
    if args.json {
        return print::json(&settings::json());
    }
    print::text(&settings::markdown())
}
