//! The memory of an origin over many jobs.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::time::sleep;

use crate::door::Prefer;
use crate::figures::{line, mebibytes, median, title};
use crate::load::load;
use crate::scale::Scale;
use crate::world::{Kind, Setup, World};

const CALLERS: usize = 16;
const STEPS: usize = 20;
const PAUSE: Duration = Duration::from_millis(100);

pub async fn measure(world: &World, scale: &Scale) -> Result<()> {
    title(format_args!(
        "Memory over {} jobs of {STEPS} steps (as many as an hour has at one a second), {CALLERS} \
         callers waiting, steps that take no time",
        scale.jobs
    ));
    for &kind in world.kinds() {
        let begun = Instant::now();
        let samples = samples(world, scale, kind).await?;
        let rate = scale.jobs as f64 / begun.elapsed().as_secs_f64();
        // In fifths: the first has the start in it.
        let fifths: Vec<f64> = samples
            .chunks(samples.len().div_ceil(5).max(1))
            .map(median)
            .collect();
        let shown: Vec<String> = fifths.iter().map(|it| format!("{it:.1}")).collect();
        let (second, last) = (fifths.get(1), fifths.last());
        let growth = last.context("a sample")? - second.context("more samples")?;
        line(
            format_args!("{kind}: resident, median of each fifth"),
            format_args!(
                "{} MiB; {growth:+.1} MiB from the second to the last; {rate:.0} jobs a second",
                shown.join(", ")
            ),
        );
    }
    Ok(())
}

/// Resident memory in MiB, sampled until all jobs are done.
async fn samples(world: &World, scale: &Scale, kind: Kind) -> Result<Vec<f64>> {
    let books = world.books(kind).await?;
    let (origin, door) = world.origin(&books, Setup::of(Duration::ZERO)).await?;
    let is_over = Cell::new(false);
    let jobs = async {
        let done = load(CALLERS, scale.jobs, async |number| {
            let account = format!("account-{}", number % CALLERS);
            let job = door.generate(&account, number, STEPS, Prefer::Wait).await?;
            ensure!(job["status"] == "succeeded", "{job}");
            Ok(())
        });
        let done = done.await;
        is_over.set(true);
        done
    };
    let sampling = async {
        let mut samples = Vec::new();
        while !is_over.get() {
            samples.push(mebibytes(origin.usage().resident()?));
            sleep(PAUSE).await;
        }
        Ok(samples)
    };
    let (_, samples) = tokio::try_join!(jobs, sampling)?;
    Ok(samples)
}
