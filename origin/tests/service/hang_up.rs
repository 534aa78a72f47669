//! Callers who do not stay for the answer.

use axum::http::StatusCode;
use serde_json::json;

use crate::support::Origin;
use crate::support::call::Call;
use crate::support::engine::StubEngine;
use crate::support::hang_up::hang_up_once;

#[tokio::test]
async fn a_job_whose_caller_hung_up_as_it_was_recorded_is_made() {
    let origin = Origin::with(StubEngine::default()).await;
    let listed = async || {
        let jobs = origin.call(Call::get("/api/jobs")).await.json().await;
        jobs["items"][0]["id"].as_str().map(ToOwned::to_owned)
    };
    let call = Call::generate(&json!({ "prompt": "p" }));
    hang_up_once(origin.call(call), async || listed().await.is_some()).await;
    let id = listed().await.expect("recorded");
    assert_eq!(origin.finished(&id).await["status"], "succeeded");
    origin.stop().await;
}

#[tokio::test]
async fn a_cancel_whose_caller_hung_up_as_it_was_recorded_stops_the_engine() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine).await;
    let id = origin.submit(&json!({ "prompt": "p", "steps": 100 })).await;
    gate.allow(1);
    origin.events(&id).await.until_step(1).await;
    let cancel = Call::delete(&format!("/api/jobs/{id}"));
    hang_up_once(origin.call(cancel), async || {
        origin.job(&id).await["status"] == "canceled"
    })
    .await;

    // One step is being computed. It is the last.
    gate.allow(1);
    let next = origin.submit(&json!({ "prompt": "p", "steps": 1 })).await;
    gate.allow(1);
    assert_eq!(origin.finished(&next).await["status"], "succeeded");
    assert_eq!(gate.done(), 3);
    let answer = origin.call(Call::get("/api/jobs")).await;
    assert_eq!(answer.status, StatusCode::OK);
    origin.stop().await;
}
