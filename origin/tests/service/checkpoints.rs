//! Runs that break off, and go on where they were saved: to the same bytes.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::engine::{Gate, StubEngine};
use crate::support::sse::Event;
use crate::support::{Origin, Setup, database, until};

/// After each step.
const ALWAYS: Option<Duration> = Some(Duration::ZERO);

fn body() -> Value {
    json!({ "prompt": "a fox", "seed": 1, "steps": 8 })
}

/// An origin that saves runs, whose steps a gate lets through.
async fn gated(folder: &TempDir) -> (Origin, Arc<Gate>) {
    let (engine, gate) = StubEngine::gated();
    let setup = Setup {
        engine,
        checkpoint_every: ALWAYS,
        ..Setup::default()
    };
    (Origin::start_in(folder.path(), setup).await, gate)
}

/// Steps of a job that are saved; `None` where nothing is.
async fn saved(folder: &TempDir, job: &str) -> Option<i64> {
    sqlx::query_scalar("SELECT step FROM job_checkpoints WHERE job_id = $1")
        .bind(job)
        .fetch_optional(&mut database(folder.path()).await)
        .await
        .expect("asked")
}

/// What an origin left that died after some steps of a job.
struct Left {
    folder: TempDir,
    job: String,
    /// The dead one's: no step of its ends before this does.
    gate: Arc<Gate>,
}

impl Drop for Left {
    fn drop(&mut self) {
        self.gate.open();
    }
}

async fn left(body: &Value, steps: u32) -> Left {
    let folder = tempfile::tempdir().expect("folder");
    let (dead, gate) = gated(&folder).await;
    let job = dead.submit(body).await;
    // One by one: a state is passed over while the one before it is on its way.
    for step in 1..=steps {
        gate.allow(1);
        until(async || saved(&folder, &job).await == Some(step.into())).await;
        dead.events(&job).await.until_step(step).await;
    }
    // No drain: the database says `running`, as after a power failure.
    drop(dead);
    Left { folder, job, gate }
}

/// Digests of a job's pictures.
fn digests(job: &Value) -> Vec<&Value> {
    assert_eq!(job["status"], "succeeded", "{job}");
    let images = job["images"].as_array().expect("images");
    images.iter().map(|image| &image["sha256"]).collect()
}

/// The same pictures, made without a break.
async fn uninterrupted(body: &Value) -> Value {
    let origin = Origin::with(StubEngine::default()).await;
    let job = origin.submit(body).await;
    let job = origin.finished(&job).await;
    origin.stop().await;
    job
}

fn steps(events: &[Event]) -> Vec<u64> {
    let progress = events.iter().filter(|event| event.name == "progress");
    let steps = progress.map(|event| event.data["step"].as_u64().expect("a step"));
    steps.collect()
}

#[tokio::test]
async fn a_dead_processs_run_goes_on_where_it_was_saved() {
    let Left { folder, job, .. } = &left(&body(), 5).await;
    let (next, gate) = gated(folder).await;
    gate.open();
    let made = next.finished(job).await;
    assert_eq!(gate.done(), 3);
    assert_eq!(digests(&made), digests(&uninterrupted(&body()).await));
    assert_eq!(saved(folder, job).await, None, "it goes with the job's end");
    let events = next.events(job).await.rest().await;
    let steps = steps(&events);
    assert!(steps.is_sorted(), "{steps:?}");
    assert_eq!(steps.iter().filter(|step| **step == 3).count(), 1);
    next.stop().await;
}

#[tokio::test]
async fn of_several_images_those_that_are_made_stay_and_the_present_one_goes_on() {
    let body = json!({ "prompt": "a fox", "seed": 1, "steps": 4, "n": 3 });
    let Left { folder, job, .. } = &left(&body, 6).await;
    let (next, gate) = gated(folder).await;
    gate.open();
    let made = next.finished(job).await;
    // The first may have reached the store or the spool, or have died on its way.
    let made_again = gate.done() - 6;
    assert!(made_again == 0 || made_again == 4, "{made_again}");
    assert_eq!(digests(&made), digests(&uninterrupted(&body).await));
    next.stop().await;
}

#[tokio::test]
async fn a_service_that_must_stop_saves_what_it_hands_back() {
    let body = json!({ "prompt": "a fox", "seed": 1, "steps": 150 });
    let folder = tempfile::tempdir().expect("folder");
    let (mut engine, gate) = StubEngine::gated();
    // All of them take far longer than the service has to end.
    engine.pace = Duration::from_millis(20);
    gate.open();
    let setup = Setup {
        engine,
        ..Setup::default()
    };
    let origin = Origin::start_in(folder.path(), setup).await;
    let job = origin.submit(&body).await;
    origin.events(&job).await.until_step(3).await;
    assert_eq!(saved(&folder, &job).await, None, "it was not told to");
    origin.stop().await;
    let done = gate.done();
    assert_eq!(saved(&folder, &job).await, Some(done.into()));

    let (next, gate) = gated(&folder).await;
    gate.open();
    let made = next.finished(&job).await;
    assert_eq!(gate.done(), 150 - done);
    assert_eq!(digests(&made), digests(&uninterrupted(&body).await));
    next.stop().await;
}

/// Finishes a job that was left at its fifth step; how many steps that took.
async fn finish(Left { folder, job, .. }: &Left, device: &'static str) -> u32 {
    let (mut engine, gate) = StubEngine::gated();
    engine.device = device;
    gate.open();
    let setup = Setup {
        engine,
        ..Setup::default()
    };
    let next = Origin::start_in(folder.path(), setup).await;
    let made = next.finished(job).await;
    assert_eq!(digests(&made), digests(&uninterrupted(&body()).await));
    let events = next.events(job).await.rest().await;
    assert_eq!(steps(&events).last(), Some(&8));
    next.stop().await;
    gate.done()
}

#[tokio::test]
async fn what_is_damaged_or_of_another_device_is_not_gone_on_from() {
    assert_eq!(finish(&left(&body(), 5).await, "").await, 3);
    assert_eq!(finish(&left(&body(), 5).await, "another").await, 8);
    for damage in [
        "UPDATE job_checkpoints SET state = sha256",
        "UPDATE job_checkpoints SET sha256 = state",
    ] {
        let left = left(&body(), 5).await;
        sqlx::query(damage)
            .execute(&mut database(left.folder.path()).await)
            .await
            .expect("damaged");
        assert_eq!(finish(&left, "").await, 8, "{damage}");
    }
}

#[tokio::test]
async fn a_state_that_the_engine_does_not_take_is_not_gone_on_from() {
    let left = left(&body(), 5).await;
    let mut database = database(left.folder.path()).await;
    // Whole, by its digest: that of no bytes at all.
    let digest = hex::decode("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sqlx::query("UPDATE job_checkpoints SET state = $1, sha256 = $2")
        .bind(Vec::new())
        .bind(digest.expect("hex"))
        .execute(&mut database)
        .await
        .expect("emptied");
    assert_eq!(finish(&left, "").await, 8);
}
