//! `darkroom reconcile`

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use darkroom_origin::clock;
use darkroom_origin::config::{Config, Layers};
use darkroom_origin::database::Database;
use darkroom_origin::housekeeping::{Purge, Reconciler, Report, Scope};
use darkroom_origin::storage::Storage;
use darkroom_shared::timestamp::UnixMillis;

use super::Failure;
use super::database::open;
use super::flags::SettingFlags;
use super::runtime::block_on;

/// What `darkroom reconcile` takes.
#[derive(Debug, Args)]
pub struct ReconcileArgs {
    /// Remove pictures that no image has, and what uploads that broke off have left
    #[arg(long)]
    apply: bool,
    /// Leave alone what is younger than this: it may belong to what is just being done
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    grace: u32,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Prints what it found; fails where images have no picture.
pub fn run(file: Option<&Path>, args: &ReconcileArgs, flags: SettingFlags) -> Result<(), Failure> {
    let layers = Layers::gather(file, flags.0).map_err(Failure::input)?;
    let config = Config::read(&layers).map_err(Failure::input)?;
    let report = block_on(async {
        let database = open(&config.database).await?;
        Ok(reconcile(&config, database, args).await?)
    })?;
    print(&report, args, &mut io::stdout().lock()).context("the report cannot be printed")?;
    if report.missing > 0 {
        let missing = report.missing;
        return Err(Failure::Run(anyhow!(
            "{missing} images have no picture in the store: restore it, or delete them"
        )));
    }
    Ok(())
}

async fn reconcile(
    config: &Config,
    database: Database,
    args: &ReconcileArgs,
) -> anyhow::Result<Report> {
    let storage = Arc::new(Storage::of(config));
    if args.apply {
        require_own(&database, &storage).await?;
    }
    let before = clock::now() - Duration::from_hours(args.grace.into()).as_millis() as i64;
    let mut report = Report::default();
    if args.apply {
        let purge = Purge {
            database: database.clone(),
            storage: Arc::clone(&storage),
            restorable_for: Duration::ZERO,
        };
        purge.all(clock::now()).await?;
    }
    let reconciler = Reconciler {
        database: database.clone(),
        storage,
    };
    let scope = if args.apply { Scope::All } else { Scope::Look };
    reconciler.objects(scope, before, &mut report).await?;
    reconciler
        .images(String::new(), u64::MAX, &mut report)
        .await?;
    if args.apply {
        reconciler.uploads(before, &mut report).await?;
    }
    database.close().await;
    Ok(report)
}

/// Refuses a database that knows none of the store's pictures: it is another store's, or is new
/// where the store's own was lost, and all of them would go.
async fn require_own(database: &Database, storage: &Arc<Storage>) -> anyhow::Result<()> {
    let reconciler = Reconciler {
        database: database.clone(),
        storage: Arc::clone(storage),
    };
    let mut looked = Report::default();
    reconciler
        .objects(Scope::Look, UnixMillis::MAX, &mut looked)
        .await?;
    if looked.unknown > 0 && looked.known == 0 {
        return Err(anyhow!(
            "the database knows none of the {} pictures in the store, and nothing was removed: is it \
             this store's?",
            looked.unknown
        ));
    }
    Ok(())
}

fn print(report: &Report, args: &ReconcileArgs, out: &mut impl Write) -> io::Result<()> {
    if args.json {
        serde_json::to_writer(&mut *out, report)?;
        return writeln!(out);
    }
    for (number, what) in [
        (report.objects, "objects in the store"),
        (report.unwanted, "of images that failed or were deleted"),
        (report.unknown, "of no image in the database"),
        (report.removed, "removed"),
        (report.uploads, "unfinished uploads given up"),
        (report.images, "images in the database"),
        (report.missing, "without a picture in the store"),
    ] {
        writeln!(out, "{number:>9} {what}")?;
    }
    for key in &report.orphans {
        writeln!(out, "  orphan  {key}")?;
    }
    for id in &report.missing_images {
        writeln!(out, "  missing {id}")?;
    }
    if !args.apply && report.unwanted + report.unknown > 0 {
        writeln!(out, "--apply removes the orphans")?;
    }
    Ok(())
}
