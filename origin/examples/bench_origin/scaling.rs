//! Several origins on one PostgreSQL, whose engines sleep: how many jobs they finish.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::time::sleep;

use crate::figures::{line, title};
use crate::filling::Queue;
use crate::process::{Process, server_cpu};
use crate::scale::Scale;
use crate::world::{Kind, Setup, World, count};

const ORIGINS: [usize; 3] = [1, 2, 4];
/// Steps of a job and what one takes: jobs of 100 ms, and of 10 ms, whose rest is what the service
/// itself takes.
const JOBS: [(usize, Duration); 2] = [
    (20, Duration::from_millis(5)),
    (10, Duration::from_millis(1)),
];
/// Longer than origins take to start, in seconds.
const START: usize = 5;

struct Shared {
    /// Jobs finished a second.
    rate: f64,
    /// CPU seconds of all origins and of the database, a second.
    origins: f64,
    database: f64,
}

pub async fn measure(world: &World, scale: &Scale) -> Result<()> {
    if !world.kinds().contains(&Kind::Postgres) {
        title("Several origins: not run (no PostgreSQL)");
        return Ok(());
    }
    for (steps, step) in JOBS {
        let engine = steps as f64 * step.as_secs_f64();
        title(format_args!(
            "Origins that share a PostgreSQL, each with an engine that sleeps {:.0} ms a job, over {} s",
            1000.0 * engine,
            scale.seconds_shared
        ));
        let mut alone = 0.0;
        for origins in ORIGINS {
            let found = round(world, scale, origins, steps, step).await?;
            if origins == 1 {
                alone = found.rate;
            }
            let cpu = found.origins + found.database;
            line(
                format_args!("{origins} of them"),
                format_args!(
                    "{:.1} jobs a second, {:.2} of one's; engines busy {:.0} %; CPU {:.2} threads, \
                     {:.0} % of it the database's, {:.1} ms of it a job",
                    found.rate,
                    found.rate / alone,
                    100.0 * found.rate * engine / origins as f64,
                    cpu,
                    100.0 * found.database / cpu,
                    1000.0 * found.database / found.rate,
                ),
            );
        }
    }
    Ok(())
}

async fn round(
    world: &World,
    scale: &Scale,
    origins: usize,
    steps: usize,
    step: Duration,
) -> Result<Shared> {
    let books = world.books(Kind::Postgres).await?;
    let mut queue = Queue::new(world, &books, steps).await?;
    // More than engines could make that wait for nothing.
    let most = (scale.seconds_shared + START) as f64 / (steps as f64 * step.as_secs_f64());
    queue.fill(origins * most as usize).await?;
    queue.settle().await?;
    let mut processes: Vec<Process> = Vec::new();
    for _ in 0..origins {
        processes.push(world.origin(&books, Setup::of(step)).await?.0);
    }
    while count(&mut queue.connection, "succeeded").await? < 5 * origins {
        sleep(Duration::from_millis(20)).await;
    }
    let data = world.server_data()?;
    let cpu = || -> Result<(f64, f64)> {
        let origins = processes.iter().map(|process| process.usage().cpu());
        Ok((origins.sum::<Result<f64>>()?, server_cpu(&data)?))
    };
    let (begun, before) = (Instant::now(), cpu()?);
    let finished = count(&mut queue.connection, "succeeded").await?;
    sleep(Duration::from_secs(scale.seconds_shared as u64)).await;
    let finished = count(&mut queue.connection, "succeeded").await? - finished;
    let (span, after) = (begun.elapsed().as_secs_f64(), cpu()?);
    let left = count(&mut queue.connection, "queued").await?;
    ensure!(left > 0, "the queue ran empty");
    Ok(Shared {
        rate: finished as f64 / span,
        origins: (after.0 - before.0) / span,
        database: (after.1 - before.1) / span,
    })
}
