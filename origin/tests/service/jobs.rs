//! `GET /api/jobs` and what is not there.

use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::support::call::Call;
use crate::support::engine::StubEngine;
use crate::support::{Origin, Setup};

#[tokio::test]
async fn an_unknown_job_and_another_accounts_are_equally_not_there() {
    let origin = Origin::start(Setup::default()).await;
    let id = origin.submit(&json!({ "prompt": "p" })).await;
    let job = origin.finished(&id).await;
    let image = job["images"][0]["id"].as_str().expect("id");
    for call in [
        Call::get("/api/jobs/01890000-0000-7000-8000-000000000000"),
        Call::get("/api/jobs/nonsense"),
        Call::delete("/api/jobs/nonsense"),
        Call::get("/api/jobs/%ff"),
        Call::delete("/api/jobs/%ff"),
        Call::get("/api/jobs/%ff/events"),
        Call::get("/api/images/%ff"),
        Call::get("/generated/%ff"),
        Call::get("/api/images/nonsense"),
        Call::get(&format!("/api/jobs/{id}")).by("bob"),
        Call::delete(&format!("/api/jobs/{id}")).by("bob"),
        Call::get(&format!("/api/jobs/{id}/events")).by("bob"),
        Call::get(&format!("/api/images/{image}")).by("bob"),
    ] {
        let answer = origin.call(call.clone()).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", call.path);
        answer.problem("not_found").await;
    }
    assert_eq!(origin.job(&id).await, job);
    origin.stop().await;
}

#[tokio::test]
async fn an_account_lists_its_own_jobs_page_by_page() {
    let origin = Origin::start(Setup::default()).await;
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.push(origin.submit(&json!({ "prompt": "p" })).await);
    }
    expected.reverse();
    let foreign = Call::generate(&json!({ "prompt": "p" })).by("bob");
    assert_eq!(origin.call(foreign).await.status, StatusCode::OK);

    let mut found = Vec::new();
    let mut uri = "/api/jobs?limit=2".to_owned();
    loop {
        let page = origin.call(Call::get(&uri)).await.json().await;
        let items = page["items"].as_array().expect("items");
        assert!(items.len() <= 2);
        found.extend(
            items
                .iter()
                .map(|job| job["id"].as_str().expect("id").to_owned()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        uri = format!("/api/jobs?limit=2&cursor={cursor}");
    }
    assert_eq!(found, expected);
    origin.stop().await;
}

#[tokio::test]
async fn a_wrong_page_size_is_named() {
    let origin = Origin::start(Setup::default()).await;
    let answer = origin.call(Call::get("/api/jobs?limit=0")).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let problem = answer.problem("invalid_request").await;
    assert_eq!(problem["errors"][0]["field"], "limit");
    origin.stop().await;
}

#[tokio::test]
async fn a_job_knows_its_place_and_once_steps_were_measured_its_time() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine).await;
    let first = origin.submit(&json!({ "prompt": "p" })).await;
    let second = origin.submit(&json!({ "prompt": "p" })).await;
    gate.allow(1);
    origin.events(&first).await.until_step(1).await;
    let running = origin.job(&first).await;
    assert_eq!(running["status"], "running");
    assert_eq!(running["queue_position"], json!(null));
    assert!(running["eta_seconds"].is_number());
    let queued = origin.job(&second).await;
    assert_eq!(queued["queue_position"], 1);
    assert!(queued["eta_seconds"].is_number());
    gate.open();
    assert_eq!(origin.finished(&second).await["eta_seconds"], json!(null));
    origin.stop().await;
}

#[tokio::test]
async fn routes_and_methods_that_are_not_offered_are_told_apart() {
    let origin = Origin::start(Setup::default()).await;
    let answer = origin.call(Call::get("/api/nothing")).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    answer.problem("not_found").await;
    let answer = origin.call(Call::new(Method::PUT, "/api/jobs")).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(answer.header("allow").contains("GET"));
    answer.problem("method_not_allowed").await;
    origin.stop().await;
}
