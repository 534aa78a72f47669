//! The engine, the encoder and the uploader at work side by side: who waits for whom, and who does
//! not.

use axum::http::StatusCode;
use serde_json::json;

use crate::support::bucket::{Mood, TestBucket};
use crate::support::call::Call;
use crate::support::engine::{Gate, StubEngine};
use crate::support::{LIMIT, Origin, Setup, until};

/// As many uploads as are on their way at one moment.
const UPLOADING: usize = 16;
/// As many pictures as wait for the store, on the disk.
const CARRYING: usize = 32;

#[tokio::test]
async fn the_next_jobs_steps_are_taken_while_the_former_is_uploaded() {
    let bucket = TestBucket::start().await;
    bucket.set(Mood::HoldsUploads);
    let (engine, gate) = StubEngine::gated();
    let setup = Setup {
        engine,
        storage: Some(bucket.storage()),
        ..Setup::default()
    };
    let origin = Origin::start(setup).await;
    let former = origin.submit(&json!({ "prompt": "p" })).await;
    gate.allow(4);
    bucket.uploads_after(0).await;
    let next = origin.submit(&json!({ "prompt": "q" })).await;
    gate.allow(1);
    origin.events(&next).await.until_step(1).await;
    assert_eq!(origin.job(&former).await["status"], "running");
    gate.open();
    bucket.set(Mood::Well);
    for job in [former, next] {
        assert_eq!(origin.finished(&job).await["status"], "succeeded");
    }
    origin.stop().await;
}

#[tokio::test]
async fn the_next_jobs_words_are_encoded_before_the_present_one_has_ended() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine.clone()).await;
    let present = origin.submit(&json!({ "prompt": "p" })).await;
    let next = origin.submit(&json!({ "prompt": "q" })).await;
    gate.allow(2);
    origin.events(&present).await.until_step(2).await;
    assert_eq!(origin.job(&next).await["queue_position"], 1);
    // The last step is held.
    gate.allow(1);
    until(async || engine.prepared() == ["q"]).await;
    assert_eq!(origin.job(&present).await["status"], "running");
    assert_eq!(gate.done(), 3);
    gate.open();
    for job in [present, next] {
        assert_eq!(origin.finished(&job).await["status"], "succeeded");
    }
    origin.stop().await;
}

#[tokio::test]
async fn the_next_job_is_claimed_while_one_of_a_single_step_is_made() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine.clone()).await;
    let present = origin.submit(&json!({ "prompt": "p", "steps": 1 })).await;
    let next = origin.submit(&json!({ "prompt": "q" })).await;
    until(async || engine.prepared() == ["q"]).await;
    assert_eq!(gate.done(), 0);
    gate.open();
    for job in [present, next] {
        assert_eq!(origin.finished(&job).await["status"], "succeeded");
    }
    origin.stop().await;
}

/// A job at its last step, and one that was claimed meanwhile.
async fn claimed_ahead(engine: StubEngine, gate: &Gate) -> (Origin, [String; 2]) {
    let origin = Origin::with(engine.clone()).await;
    let present = origin.submit(&json!({ "prompt": "p" })).await;
    let next = origin.submit(&json!({ "prompt": "q" })).await;
    gate.allow(3);
    until(async || engine.prepared() == ["q"]).await;
    assert_eq!(gate.done(), 3);
    (origin, [present, next])
}

#[tokio::test]
async fn a_job_that_was_claimed_ahead_can_be_canceled() {
    let (engine, gate) = StubEngine::gated();
    let (origin, [present, next]) = claimed_ahead(engine, &gate).await;
    let canceled = origin
        .call(Call::delete(&format!("/api/jobs/{next}")))
        .await;
    assert_eq!(canceled.status, StatusCode::OK);
    assert_eq!(canceled.json().await["status"], "canceled");
    gate.open();
    assert_eq!(origin.finished(&present).await["status"], "succeeded");
    let last = origin.submit(&json!({ "prompt": "r" })).await;
    assert_eq!(origin.finished(&last).await["status"], "succeeded");
    assert_eq!(gate.done(), 8, "the canceled one took no step");
    origin.stop().await;
}

#[tokio::test]
async fn a_job_that_was_claimed_ahead_is_given_back_by_a_service_that_drains() {
    let (engine, gate) = StubEngine::gated();
    let (origin, [present, next]) = claimed_ahead(engine, &gate).await;
    origin.service.begin_draining();
    gate.open();
    until(async || origin.job(&next).await["status"] == "queued").await;
    let job = origin.job(&next).await;
    assert_eq!(
        (&job["started_at"], &job["progress"]["step"]),
        (&json!(null), &json!(0))
    );
    until(async || origin.job(&present).await["status"] == "succeeded").await;
    assert_eq!(gate.done(), 4);
    origin.service.drain(LIMIT).await.expect("drained");
}

#[tokio::test]
async fn pictures_wait_on_the_disk_while_the_store_takes_none() {
    let bucket = TestBucket::start().await;
    bucket.set(Mood::HoldsUploads);
    let folder = tempfile::tempdir().expect("folder");
    let (engine, gate) = StubEngine::gated();
    gate.open();
    let setup = Setup {
        engine,
        storage: Some(bucket.storage()),
        ..Setup::default()
    };
    let origin = Origin::start_in(folder.path(), setup).await;
    let mut jobs = Vec::new();
    for number in 0..CARRYING + 4 {
        let body = json!({ "prompt": number.to_string(), "steps": 1 });
        jobs.push(origin.submit(&body).await);
    }
    let spool = folder.path().join("spool");
    until(async || {
        let files = std::fs::read_dir(&spool).expect("a spool");
        let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
        names.filter(|name| !name.starts_with('.')).count() == CARRYING
    })
    .await;
    // The engine has made one more, for which there is no room, and waits.
    until(async || gate.done() as usize == CARRYING + 1).await;
    until(async || bucket.uploads() == UPLOADING).await;
    bucket.set(Mood::Well);
    for job in jobs {
        assert_eq!(origin.finished(&job).await["status"], "succeeded");
    }
    assert_eq!(bucket.done(), CARRYING + 4);
    origin.stop().await;
}
