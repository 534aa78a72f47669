//! How much of its time the engine computes while the queue is full and each upload takes two
//! seconds. `scripts/bench engine-busy` runs it.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::metrics::{number, scrape};
use crate::support::bucket::{Mood, TestBucket};
use crate::support::engine::StubEngine;
use crate::support::{Origin, Setup, on_postgres};

/// As large as SDXL's pictures are.
const SIDE: u32 = 1024;
const JOBS: usize = 10;

/// A number out of the environment.
fn setting(name: &str, default: u32) -> u32 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/bench engine-busy"]
async fn the_engine_computes_while_pictures_are_uploaded() {
    let (step_ms, steps) = (setting("STEP_MS", 50), setting("STEPS", 20));
    let bucket = TestBucket::start().await;
    bucket.set(Mood::Slow);
    let origin = Origin::start(Setup {
        engine: StubEngine::paced(Duration::from_millis(step_ms.into())),
        checkpoint_every: Some(Duration::from_secs(10)),
        storage: Some(bucket.storage()),
        ..Setup::default()
    })
    .await;
    let mut jobs = Vec::new();
    for seed in 0..JOBS {
        let (width, height) = (SIDE, SIDE);
        let body = json!({ "prompt": "p", "seed": seed, "steps": steps, "width": width, "height": height });
        jobs.push(origin.submit(&body).await);
    }
    let computed = async || {
        let text = scrape(origin.service.admin_router()).await;
        (
            number(&text, "darkroom_engine_busy_seconds_total"),
            Instant::now(),
        )
    };
    let (first, last) = (&jobs[0], &jobs[JOBS - 1]);
    origin.events(first).await.until_step(1).await;
    let (before, begun) = computed().await;
    // Not the last step: behind that the queue is empty.
    origin.events(last).await.until_step(steps - 1).await;
    let (after, ended) = computed().await;
    let (busy, all) = (after - before, ended.duration_since(begun).as_secs_f64());
    let database = if on_postgres() {
        "PostgreSQL"
    } else {
        "SQLite"
    };
    println!(
        "{database}: {JOBS} jobs of {steps} steps of {step_ms} ms, {SIDE}×{SIDE}, uploads of 2 s: the engine \
         computed {busy:.2} s of {all:.2} s: {:.2} %",
        100.0 * busy / all
    );
    for job in &jobs {
        assert_eq!(origin.finished(job).await["status"], "succeeded");
    }
    assert_eq!(bucket.done(), JOBS);
    origin.stop().await;
}
