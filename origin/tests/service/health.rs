//! `GET /healthz`, `GET /readyz`, `GET /api/models`, and the request's id.

use axum::http::StatusCode;
use serde_json::json;

use crate::support::call::Call;
use crate::support::engine::StubEngine;
use crate::support::{Origin, Setup};

#[tokio::test]
async fn a_service_says_when_it_no_longer_wants_requests() {
    let origin = Origin::start(Setup::default()).await;
    let ready = origin.send(Call::get("/readyz").unsigned()).await;
    assert_eq!(ready.status, StatusCode::OK);
    assert_eq!(
        ready.json().await,
        json!({
            "ready": true,
            "engine": "ready",
            "database": "reachable",
            "tasks": "running",
            "signing": "off",
            "draining": false,
        })
    );

    origin.service.begin_draining();
    let draining = origin.send(Call::get("/readyz").unsigned()).await;
    assert_eq!(draining.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(draining.json().await["draining"], true);
    let refused = origin.call(Call::generate(&json!({ "prompt": "p" }))).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.header("retry-after"), "5");
    refused.problem("unavailable").await;
    let alive = origin.send(Call::get("/healthz").unsigned()).await;
    assert_eq!(alive.status, StatusCode::OK);
    origin.stop().await;
}

#[tokio::test]
async fn a_service_that_has_lost_a_task_is_not_ready_and_says_why_it_ends() {
    let origin = Origin::start(Setup::default()).await;
    let vital = origin.service.vital();
    vital.spawn("breaks", async { panic!("for a test") });
    let why = origin.service.broken().await;
    assert!(why.to_string().contains("`breaks`"), "{why}");
    let answer = origin.send(Call::get("/readyz").unsigned()).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.json().await["tasks"], "failed");
    origin.stop().await;
}

/// Another machine has the same queue: to send callers there would change nothing.
#[tokio::test]
async fn a_full_queue_keeps_nobody_from_asking() {
    let (engine, gate) = StubEngine::gated();
    let setup = Setup {
        engine,
        queue_limit: 1,
        ..Setup::default()
    };
    let origin = Origin::start(setup).await;
    let running = origin.submit(&json!({ "prompt": "p" })).await;
    origin.events(&running).await.until_step(0).await;
    origin.submit(&json!({ "prompt": "p" })).await;
    let refused = origin.call(Call::generate(&json!({ "prompt": "p" }))).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    for route in ["/readyz", "/healthz"] {
        let answer = origin.send(Call::get(route).unsigned()).await;
        assert_eq!(answer.status, StatusCode::OK, "{route}");
    }
    gate.open();
    origin.stop().await;
}

#[tokio::test]
async fn models_say_what_can_be_asked_for() {
    let origin = Origin::start(Setup::default()).await;
    let page = origin.call(Call::get("/api/models")).await.json().await;
    assert_eq!(page["next_cursor"], json!(null));
    let model = &page["items"][0];
    assert_eq!(model["name"], "stub");
    assert_eq!(model["default"], true);
    assert_eq!(model["formats"], json!(["png", "webp", "jpeg"]));
    assert_eq!(model["loras"], json!([]));
    assert_eq!(model["limits"]["steps"], json!({ "min": 1, "max": 150 }));
    assert_eq!(
        model["limits"]["width"],
        json!({ "min": 64, "max": 2048, "multiple_of": 8 })
    );
    origin.stop().await;
}

#[tokio::test]
async fn a_request_keeps_its_id_or_is_given_one() {
    let origin = Origin::start(Setup::default()).await;
    let call = Call::get("/api/nothing").header("x-request-id", "edge-1");
    let problem = origin.call(call).await.problem("not_found").await;
    assert_eq!(problem["request_id"], "edge-1");
    let hostile = Call::get("/api/nothing").header("x-request-id", "a\"b c");
    let problem = origin.call(hostile).await.problem("not_found").await;
    assert_eq!(problem["request_id"].as_str().map(str::len), Some(36));
    origin.stop().await;
}
