//! Jobs that end without their picture, and an engine that goes on.

use axum::http::StatusCode;
use serde_json::json;

use crate::support::call::Call;
use crate::support::{LIMIT, Origin, Setup};

#[tokio::test]
async fn a_panic_of_the_engine_fails_the_job_and_the_next_one_works() {
    let origin = Origin::start(Setup::default()).await;
    let answer = origin
        .call(Call::generate(&json!({ "prompt": "panic" })))
        .await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    let problem = answer.problem("generation_failed").await;
    assert_eq!(problem["job"]["status"], "failed");
    assert_eq!(problem["job"]["error"]["code"], "generation_failed");

    let answer = origin
        .call(Call::generate(&json!({ "prompt": "a fox" })))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    origin.stop().await;
}

#[tokio::test]
async fn an_engines_thread_that_dies_does_not_go_unnoticed() {
    let folder = tempfile::tempdir().expect("folder");
    let origin = Origin::start_in(folder.path(), Setup::default()).await;
    let id = origin.submit(&json!({ "prompt": "poison" })).await;
    died(&origin).await;
    let ready = origin.send(Call::get("/readyz").unsigned()).await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready.json().await["engine"], "failed");
    let refused = origin.call(Call::generate(&json!({ "prompt": "p" }))).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    origin.stop().await;

    // The next process takes the job up again, and the one after that; then it is given up.
    for _ in 0..2 {
        let next = Origin::start_in(folder.path(), Setup::default()).await;
        died(&next).await;
        next.stop().await;
    }
    let last = Origin::start_in(folder.path(), Setup::default()).await;
    assert_eq!(last.finished(&id).await["status"], "failed");
    last.stop().await;
}

async fn died(origin: &Origin) {
    let broken = tokio::time::timeout(LIMIT, origin.service.broken()).await;
    assert!(broken.expect("noticed").to_string().contains("told to"));
}

#[tokio::test]
async fn what_failed_inside_stays_inside() {
    let origin = Origin::start(Setup::default()).await;
    let answer = origin
        .call(Call::generate(&json!({ "prompt": "fail" })))
        .await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    let problem = answer.problem("generation_failed").await;
    assert!(!problem.to_string().contains("gpu0"), "{problem}");

    let id = problem["job"]["id"].as_str().expect("id");
    let events = origin.events(id).await.rest().await;
    let last = events.last().expect("events");
    assert_eq!(last.name, "failed");
    assert_eq!(last.data["error"]["code"], "generation_failed");
    origin.stop().await;
}

#[tokio::test]
async fn a_request_that_the_engine_does_not_take_is_the_callers_to_change() {
    let origin = Origin::start(Setup::default()).await;
    let answer = origin
        .call(Call::generate(&json!({ "prompt": "invalid" })))
        .await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let problem = answer.problem("invalid_request").await;
    assert_eq!(problem["detail"], "width: is too much for this model");
    assert_eq!(problem["job"]["status"], "failed");
    origin.stop().await;
}
