//! Callers who do not stay for the answer.

use serde_json::json;

use crate::support::call::Call;
use crate::support::engine::StubEngine;
use crate::support::hang_up::hang_up_once;
use crate::support::{Origin, Setup, database};

#[tokio::test]
async fn a_job_whose_caller_hung_up_as_it_was_recorded_is_made() {
    let folder = tempfile::tempdir().expect("folder");
    let origin = Origin::start_in(folder.path(), Setup::default()).await;
    let mut rows = database(folder.path()).await;
    let call = origin.call(Call::generate(&json!({ "prompt": "p" })));
    hang_up_once(call, &mut rows, "SELECT 1 FROM jobs").await;
    let jobs = origin.call(Call::get("/api/jobs")).await.json().await;
    let id = jobs["items"][0]["id"].as_str().expect("recorded");
    assert_eq!(origin.finished(id).await["status"], "succeeded");
    origin.stop().await;
}

#[tokio::test]
async fn a_cancel_whose_caller_hung_up_as_it_was_recorded_stops_the_engine() {
    let folder = tempfile::tempdir().expect("folder");
    let (engine, gate) = StubEngine::gated();
    let setup = Setup {
        engine,
        ..Setup::default()
    };
    let origin = Origin::start_in(folder.path(), setup).await;
    let mut rows = database(folder.path()).await;
    let id = origin.submit(&json!({ "prompt": "p", "steps": 100 })).await;
    gate.allow(1);
    origin.events(&id).await.until_step(1).await;
    let cancel = origin.call(Call::delete(&format!("/api/jobs/{id}")));
    hang_up_once(
        cancel,
        &mut rows,
        "SELECT 1 FROM jobs WHERE status = 'canceled'",
    )
    .await;

    // One step is being computed. It is the last.
    let next = origin.submit(&json!({ "prompt": "p", "steps": 1 })).await;
    gate.allow(2);
    assert_eq!(origin.finished(&next).await["status"], "succeeded");
    assert_eq!(gate.done(), 3);
    origin.stop().await;
}
