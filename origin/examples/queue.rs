//! How long a place and a claim take in a long queue: `queue DATABASE_URL [JOBS [ACCOUNTS]]`.
//!
//! Fills an empty database with waiting jobs and prints medians and 99th percentiles, over what a
//! service does for a caller who asks after its job, hands one in, or for an engine that takes one.

#![expect(clippy::print_stdout, reason = "what it is for")]

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use darkroom_origin::database::{Address, Claim, Database, Place};
use darkroom_origin::jobs::Places;
use sqlx::{AnyConnection, Connection as _};

/// Of each kind.
const CALLS: usize = 500;
/// Jobs that may be at work for one account, where there is a limit.
const LIMIT: u32 = 4;

/// Accounts' jobs lie side by side, as their turns would have it.
const JOBS: &str = "
    INSERT INTO jobs (id, account, status, recipe, steps, pixels, created_at, turn, turn_end)
    WITH RECURSIVE numbers (n) AS
        (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < $1)
    SELECT 'job-' || n, 'account-' || (n % $2), 'queued', $3, 4, 4096, 0,
           (n / $2 + 1) * 65536, (n / $2 + 2) * 65536 FROM numbers";
const IMAGES: &str = "
    INSERT INTO images (id, job_id, position, object_key, seed, recipe_sha256, visibility, width,
                        height, content_type)
    SELECT 'image-' || id, id, 0, 'key-' || id, 1, id, 'public', 64, 64, 'image/png' FROM jobs";
/// Half of them belong to one account, and come before all others.
const CROWD: &str = "
    UPDATE jobs SET account = 'crowd', turn = 0 WHERE status = 'queued' AND sequence % 2 = 0";
const RECIPE: &str = r#"{"prompt":"p","width":64,"height":64,"steps":4,"guidance_scale":1.0,
    "scheduler":"euler","seed":1,"model":"m","revision":"r","engine":"e","format":"png"}"#;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().context("name a database")?;
    let mut number = |unless_told| match arguments.next() {
        Some(text) => text.parse::<i64>().context("a number"),
        None => Ok(unless_told),
    };
    let (jobs, accounts) = (number(100_000)?, number(1000)?);
    let database = Database::open(&Address::parse(&url)?).await?;
    ensure!(
        database.depth().await?.queued == 0,
        "the database is in use"
    );
    // SQLite brings all into its file when nobody has it open any more.
    database.close().await;
    let mut filling = AnyConnection::connect(&url).await?;
    sqlx::query(JOBS)
        .bind(jobs)
        .bind(accounts)
        .bind(RECIPE)
        .execute(&mut filling)
        .await?;
    sqlx::query(IMAGES).execute(&mut filling).await?;
    if url.starts_with("postgres") {
        // As it does by itself, soon; SQLite never does.
        sqlx::query("ANALYZE").execute(&mut filling).await?;
    }
    filling.close().await?;
    let database = Database::open(&Address::parse(&url)?).await?;

    println!("{jobs} jobs of {accounts} accounts are waiting; milliseconds");
    let places = Places::new(database.clone(), u32::MAX.into());
    // The line is read once, beside the calls.
    places.before(Place::LAST).await?;
    measure("place", async || {
        database.at_work().await?;
        places.before(Place::LAST).await?;
        Ok(())
    })
    .await?;
    let claim = async |limit| match database.claim("m", limit, 1).await? {
        Some(Claim::Job(_)) => Ok(()),
        _ => anyhow::bail!("no job was claimed"),
    };
    measure("claim", async || claim(0).await).await?;
    measure("claim with a limit", async || claim(LIMIT).await).await?;
    let mut filling = AnyConnection::connect(&url).await?;
    sqlx::query(CROWD).execute(&mut filling).await?;
    for _ in 0..LIMIT {
        claim(LIMIT).await?;
    }
    measure("past a crowd at its limit", async || claim(LIMIT).await).await?;
    database.close().await;
    Ok(())
}

async fn measure(what: &str, call: impl AsyncFn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS / 10 {
        call().await?;
    }
    for _ in 0..CALLS {
        let begun = Instant::now();
        call().await?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    let at = |part: usize| times.get(CALLS * part / 100).map(Duration::as_secs_f64);
    let [median, most] = [50, 99].map(|part| at(part).unwrap_or_default() * 1000.0);
    println!("{what:<26} p50 {median:6.2}  p99 {most:6.2}");
    Ok(())
}
