//! `darkroom migrate`

use clap::Args;
use darkroom_origin::database::{Database, SchemaVersion};
use serde_json::json;

use super::database::SourceArgs;
use super::runtime::block_on;
use super::{Failure, print};

/// What `darkroom migrate` takes.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Makes the database where there is none, brings its tables up to date, and says from where to
/// where.
pub fn run(args: &MigrateArgs) -> Result<(), Failure> {
    let address = args.source.address()?;
    let (before, after) = block_on(async {
        let error = anyhow::Error::new;
        let before = SchemaVersion::read(&address).await.map_err(error)?.found;
        Database::open(&address).await.map_err(error)?.close().await;
        let after = SchemaVersion::read(&address).await.map_err(error)?.found;
        Ok((before, after))
    })?;
    if args.json {
        return print::json(&json!({ "before": before, "after": after }));
    }
    let version = |version: Option<i64>| {
        version.map_or_else(
            || "nothing".to_owned(),
            |number| format!("version {number}"),
        )
    };
    let (before, after) = (version(before), version(after));
    print::text(&if before == after {
        format!("the database is of {after}, and needed nothing\n")
    } else {
        format!("the database went from {before} to {after}\n")
    })
}
