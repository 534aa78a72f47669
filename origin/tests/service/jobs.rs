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
        Call::get("/api/jobs/%00"),
        Call::delete("/api/jobs/a%00"),
        Call::get("/api/images/%00"),
        Call::get("/api/posts/a%00"),
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
async fn a_cursor_that_no_database_takes_for_text_is_named() {
    let origin = Origin::start(Setup::default()).await;
    for path in ["/api/jobs", "/api/webhooks/deliveries"] {
        let call = Call::get(&format!("{path}?cursor=a%00"));
        let problem = origin.call(call).await.problem("invalid_request").await;
        assert_eq!(problem["errors"][0]["field"], "cursor");
    }
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

/// Lets an account share a job.
async fn share(origin: &Origin, id: &str, account: &str, label: &serde_json::Value) -> StatusCode {
    let call = Call::new(Method::POST, &format!("/api/jobs/{id}/readers"));
    let mut call = call.by(account).header("content-type", "application/json");
    call.body = label.to_string().into_bytes();
    origin.call(call).await.status
}

#[tokio::test]
async fn an_account_that_shares_a_job_sees_it_under_its_own_label() {
    let origin = Origin::start(Setup::default()).await;
    let id = origin
        .submit(&json!({ "prompt": "p", "task_id": "mine" }))
        .await;
    let job = origin.finished(&id).await;
    let label = json!({ "task_id": "bobs" });
    assert_eq!(
        share(&origin, &id, "bob", &label).await,
        StatusCode::NO_CONTENT
    );
    let path = format!("/api/jobs/{id}");
    let shared = origin.call(Call::get(&path).by("bob")).await.json().await;
    assert_eq!(shared["task_id"], "bobs");
    assert_eq!(shared["images"], job["images"]);
    assert_eq!(origin.job(&id).await, job);
    let image = job["images"][0]["id"].as_str().expect("id");
    let image = format!("/api/images/{image}");
    assert_eq!(
        origin.call(Call::get(&image).by("bob")).await.status,
        StatusCode::OK
    );
    // It is not bob's to delete, nor anybody else's to see.
    for call in [
        Call::delete(&image).by("bob"),
        Call::get(&image).by("carol"),
        Call::get(&path).by("carol"),
    ] {
        assert_eq!(origin.call(call).await.status, StatusCode::NOT_FOUND);
    }
    assert_eq!(
        share(&origin, "nonsense", "bob", &label).await,
        StatusCode::NOT_FOUND
    );
    origin.stop().await;
}

#[tokio::test]
async fn a_job_ends_only_when_nobody_wants_it_any_more() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine).await;
    let id = origin
        .submit(&json!({ "prompt": "p", "task_id": "mine" }))
        .await;
    for account in ["bob", "carol"] {
        let label = json!({ "task_id": account });
        assert_eq!(
            share(&origin, &id, account, &label).await,
            StatusCode::NO_CONTENT
        );
    }
    let path = format!("/api/jobs/{id}");
    // A reader leaves, then the owner: the other reader has the job to itself.
    for account in ["carol", "alice"] {
        let answer = origin.call(Call::delete(&path).by(account)).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_ne!(answer.json().await["status"], "canceled");
        let gone = origin.call(Call::get(&path).by(account)).await;
        assert_eq!(gone.status, StatusCode::NOT_FOUND, "{account}");
    }
    let job = origin.call(Call::get(&path).by("bob")).await.json().await;
    assert_eq!(job["task_id"], "bob");
    let listed = origin
        .call(Call::get("/api/jobs").by("bob"))
        .await
        .json()
        .await;
    assert_eq!(listed["items"][0]["id"], id);
    let last = origin
        .call(Call::delete(&path).by("bob"))
        .await
        .json()
        .await;
    assert_eq!(last["status"], "canceled");
    gate.open();
    origin.stop().await;
}

#[tokio::test]
async fn a_deleted_image_is_gone_everywhere() {
    let origin = Origin::start(Setup::default()).await;
    let id = origin.submit(&json!({ "prompt": "p", "n": 2 })).await;
    let job = origin.finished(&id).await;
    let image = &job["images"][0];
    let path = format!("/api/images/{}", image["id"].as_str().expect("id"));
    let key = image["key"].as_str().expect("key");
    assert_eq!(
        origin.call(Call::delete(&path).by("bob")).await.status,
        StatusCode::NOT_FOUND
    );
    let deleted = origin.call(Call::delete(&path)).await.json().await;
    assert_eq!(deleted["key"], key);
    assert_eq!(deleted["n"], 2);
    assert_eq!(deleted["recipe_sha256"].as_str().expect("hash").len(), 64);
    for path in [path.clone(), format!("/{key}")] {
        let answer = origin.call(Call::get(&path)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    // Should the edge have failed to forget it, it hears once more what to forget.
    let again = origin.call(Call::delete(&path)).await.json().await;
    assert_eq!(
        (&deleted["again"], &again["again"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(again["recipe_sha256"], deleted["recipe_sha256"]);
    let left = origin.job(&id).await;
    assert_eq!(left["images"], json!([job["images"][1]]));
    origin.stop().await;
}
