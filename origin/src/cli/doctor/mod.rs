//! `darkroom doctor`: whether a service would start here and do its work, and what to do where
//! not.

mod checks;

use anyhow::anyhow;
use clap::Args;
use darkroom_origin::config::Config;
use serde::Serialize;

use super::database::SourceArgs;
use super::runtime::block_on;
use super::{Failure, print};

/// What `darkroom doctor` takes.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    /// What was found; where that is not well, with what to do.
    detail: String,
}

impl Check {
    fn new(name: &'static str, found: Result<String, String>) -> Self {
        Self {
            name,
            ok: found.is_ok(),
            detail: found.unwrap_or_else(|remedy| remedy),
        }
    }
}

/// Looks at everything, and fails where anything is not well.
pub fn run(args: &DoctorArgs) -> Result<(), Failure> {
    let checks = match Config::read(&args.source.layers()?) {
        Ok(config) => {
            let mut all = vec![Check::new("settings", Ok("all can be read".to_owned()))];
            all.extend(block_on(async { Ok(Box::pin(checks::all(config)).await) })?);
            all
        }
        // What the others would look at is not known.
        Err(wrong) => vec![Check::new("settings", Err(wrong.to_string()))],
    };
    let failed = checks.iter().filter(|check| !check.ok).count();
    if args.json {
        print::json(&serde_json::json!({ "ok": failed == 0, "checks": checks }))?;
    } else {
        let rows: Vec<_> = checks.iter().map(row).collect();
        print::text(&print::table(&rows))?;
    }
    match failed {
        0 => Ok(()),
        failed => Err(Failure::Run(anyhow!(
            "{failed} of {} checks failed",
            checks.len()
        ))),
    }
}

fn row(check: &Check) -> [String; 3] {
    let mark = if check.ok { "ok" } else { "failed" };
    [mark, check.name, &check.detail].map(str::to_owned)
}
