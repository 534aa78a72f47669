//! `DELETE /api/jobs/{id}`

use axum::http::StatusCode;
use serde_json::json;

use crate::support::call::Call;
use crate::support::engine::StubEngine;
use crate::support::{Origin, Setup, database, until};

#[tokio::test]
async fn cancel_stops_a_running_job_within_a_step() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine).await;
    let id = origin.submit(&json!({ "prompt": "p", "steps": 100 })).await;
    gate.allow(2);
    origin.events(&id).await.until_step(2).await;

    let answer = origin.call(Call::delete(&format!("/api/jobs/{id}"))).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json().await["status"], "canceled");

    // The step that was being computed ends; no other begins, and the next job's turn comes.
    gate.allow(1);
    let next = origin.submit(&json!({ "prompt": "p", "steps": 1 })).await;
    gate.allow(1);
    assert_eq!(origin.finished(&next).await["status"], "succeeded");
    assert_eq!(gate.done(), 4);
    let job = origin.job(&id).await;
    assert_eq!(job["status"], "canceled");
    assert_eq!(job["progress"]["step"], 2);
    assert!(job["finished_at"].is_string());
    origin.stop().await;
}

#[tokio::test]
async fn a_cancel_that_is_only_on_record_stops_the_engine_too() {
    let folder = tempfile::tempdir().expect("folder");
    let (engine, gate) = StubEngine::gated();
    let setup = Setup {
        engine,
        ..Setup::default()
    };
    let origin = Origin::start_in(folder.path(), setup).await;
    let id = origin.submit(&json!({ "prompt": "p", "steps": 150 })).await;
    gate.allow(1);
    origin.events(&id).await.until_step(1).await;
    sqlx::query("UPDATE jobs SET status = 'canceled', finished_at = 1")
        .execute(&mut database(folder.path()).await)
        .await
        .expect("canceled");

    // Steps are recorded beside the engine, so it may begin a few before it is told.
    let next = origin.submit(&json!({ "prompt": "p", "steps": 1 })).await;
    until(async || {
        gate.allow(1);
        origin.job(&next).await["status"] == "succeeded"
    })
    .await;
    assert!(gate.done() < 150, "{}", gate.done());
    origin.stop().await;
}

#[tokio::test]
async fn cancel_ends_a_queued_job_at_once() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine).await;
    let running = origin.submit(&json!({ "prompt": "p" })).await;
    gate.allow(1);
    origin.events(&running).await.until_step(1).await;
    let queued = origin.submit(&json!({ "prompt": "q" })).await;
    assert_eq!(origin.job(&queued).await["queue_position"], 1);

    let answer = origin
        .call(Call::delete(&format!("/api/jobs/{queued}")))
        .await;
    let job = answer.json().await;
    assert_eq!(job["status"], "canceled");
    assert_eq!(job["started_at"], json!(null));

    gate.open();
    assert_eq!(origin.finished(&running).await["status"], "succeeded");
    assert_eq!(origin.finished(&queued).await["status"], "canceled");
    assert_eq!(gate.done(), 4);
    origin.stop().await;
}

#[tokio::test]
async fn a_finished_job_stays_as_it_is() {
    let origin = Origin::with(StubEngine::default()).await;
    let id = origin.submit(&json!({ "prompt": "p" })).await;
    let before = origin.finished(&id).await;
    let answer = origin.call(Call::delete(&format!("/api/jobs/{id}"))).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json().await, before);
    origin.stop().await;
}

#[tokio::test]
async fn a_call_that_waits_for_a_canceled_job_is_told() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine).await;
    let cancel = async {
        // The job shows up in the list as soon as it is accepted.
        loop {
            let jobs = origin.call(Call::get("/api/jobs")).await.json().await;
            if let Some(id) = jobs["items"][0]["id"].as_str() {
                return origin.call(Call::delete(&format!("/api/jobs/{id}"))).await;
            }
        }
    };
    let call = Call::generate(&json!({ "prompt": "p" }));
    let (answer, canceled) = tokio::join!(origin.call(call), cancel);
    assert_eq!(canceled.status, StatusCode::OK);
    assert_eq!(answer.status, StatusCode::CONFLICT);
    let problem = answer.problem("canceled").await;
    assert_eq!(problem["job"]["status"], "canceled");
    gate.open();
    origin.stop().await;
}
