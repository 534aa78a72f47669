//! Ending in order: finish or hand back, lose nothing.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;

use crate::support::call::Call;
use crate::support::engine::StubEngine;
use crate::support::{LIMIT, Origin, Setup, until};

#[tokio::test]
async fn a_running_job_that_can_finish_does() {
    let folder = tempfile::tempdir().expect("folder");
    let (engine, gate) = StubEngine::gated();
    let setup = Setup {
        engine,
        ..Setup::default()
    };
    let origin = Origin::start_in(folder.path(), setup).await;
    let id = origin.submit(&json!({ "prompt": "p" })).await;
    gate.allow(1);
    origin.events(&id).await.until_step(1).await;
    origin.service.begin_draining();
    gate.open();
    origin.service.drain(LIMIT).await.expect("drained");

    let next = Origin::start_in(folder.path(), Setup::default()).await;
    let events = next.events(&id).await.rest().await;
    let queued = events.iter().filter(|event| event.name == "queued");
    assert_eq!(queued.count(), 1, "it was not handed back");
    assert_eq!(next.job(&id).await["status"], "succeeded");
    next.stop().await;
}

#[tokio::test]
async fn a_running_job_that_cannot_finish_goes_back_to_the_queue() {
    let folder = tempfile::tempdir().expect("folder");
    let (engine, gate) = StubEngine::gated();
    let setup = Setup {
        engine,
        ..Setup::default()
    };
    let origin = Origin::start_in(folder.path(), setup).await;
    let id = origin.submit(&json!({ "prompt": "p" })).await;
    gate.allow(1);
    origin.events(&id).await.until_step(1).await;
    origin
        .service
        .drain(Duration::from_millis(50))
        .await
        .expect("drained");
    gate.open();

    let next = Origin::start_in(folder.path(), Setup::default()).await;
    assert_eq!(next.finished(&id).await["status"], "succeeded");
    next.stop().await;
}

#[tokio::test]
async fn calls_and_streams_that_wait_are_let_go() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine).await;
    let id = origin.submit(&json!({ "prompt": "p" })).await;
    let stream = origin.events(&id).await;
    gate.allow(1);
    origin.events(&id).await.until_step(1).await;
    let drain = async {
        until(async || {
            let jobs = origin.call(Call::get("/api/jobs")).await.json().await;
            jobs["items"].as_array().is_some_and(|jobs| jobs.len() == 2)
        })
        .await;
        origin.service.begin_draining();
    };
    let call = Call::generate(&json!({ "prompt": "q" }));
    let (answer, ()) = tokio::join!(origin.call(call), drain);
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let events = stream.rest().await;
    assert_eq!(events.last().expect("events").name, "progress");
    gate.open();
    origin.stop().await;
}
