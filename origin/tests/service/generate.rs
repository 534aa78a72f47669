//! `POST /api/media/generate-image`

use axum::http::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::call::Call;
use crate::support::engine::StubEngine;
use crate::support::{Origin, Setup};

#[tokio::test]
async fn a_waiting_call_is_answered_with_the_picture() {
    let origin = Origin::start(Setup::default()).await;
    let body = json!({ "prompt": "a fox", "seed": 7, "task_id": "mine" });
    let answer = origin.call(Call::generate(&body)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(!answer.headers.contains_key("preference-applied"));
    let json = answer.json().await;
    assert_eq!(json["cached"], false);
    assert_eq!(json["job"]["status"], "succeeded");
    assert_eq!(json["job"]["task_id"], "mine");
    assert_eq!(json["job"]["progress"], json!({ "step": 4, "steps": 4 }));
    assert_eq!(json["recipe"]["seed"], 7);
    assert_eq!(json["recipe"]["revision"], "r1");
    let image = &json["images"][0];
    assert_eq!(json["image_url"], image["url"]);
    let key = image["key"].as_str().expect("key");
    assert_eq!(image["url"], format!("http://edge.test/{key}"));
    assert_eq!(image["content_type"], "image/png");

    let picture = origin.call(Call::get(&format!("/{key}"))).await;
    assert_eq!(picture.status, StatusCode::OK);
    assert_eq!(picture.header("content-type"), "image/png");
    let bytes = picture.bytes().await;
    assert_eq!(image["bytes"], bytes.len());
    assert_eq!(image["sha256"], hex::encode(Sha256::digest(&bytes)));

    let id = image["id"].as_str().expect("id");
    let metadata = origin.call(Call::get(&format!("/api/images/{id}"))).await;
    assert_eq!(&metadata.json().await, image);
    origin.stop().await;
}

#[tokio::test]
async fn a_request_without_a_seed_is_given_one() {
    let origin = Origin::start(Setup::default()).await;
    let body = json!({ "prompt": "a fox" });
    let mut seeds = Vec::new();
    for _ in 0..2 {
        let json = origin.call(Call::generate(&body)).await.json().await;
        seeds.push(json["recipe"]["seed"].as_u64().expect("seed"));
        assert_eq!(json["images"][0]["seed"], json["recipe"]["seed"]);
    }
    assert_ne!(seeds[0], seeds[1]);
    origin.stop().await;
}

#[tokio::test]
async fn wrong_fields_are_named_all_at_once() {
    let origin = Origin::start(Setup::default()).await;
    let body = json!({ "prompt": "", "steps": 0, "colour": "red" });
    let answer = origin.call(Call::generate(&body)).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let problem = answer.problem("invalid_request").await;
    let mut fields: Vec<_> = problem["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|error| error["field"].as_str().expect("field"))
        .collect();
    fields.sort_unstable();
    assert_eq!(fields, ["colour", "prompt", "steps"]);
    origin.stop().await;
}

#[tokio::test]
async fn what_the_model_does_not_offer_is_named() {
    let origin = Origin::start(Setup::default()).await;
    for (body, field) in [
        (json!({ "prompt": "p", "model": "other" }), "model"),
        (json!({ "prompt": "p", "scheduler": "heun" }), "scheduler"),
        (json!({ "prompt": "p", "format": "avif" }), "format"),
    ] {
        let answer = origin.call(Call::generate(&body)).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        let problem = answer.problem("invalid_request").await;
        assert_eq!(problem["errors"][0]["field"], field);
    }
    origin.stop().await;
}

#[tokio::test]
async fn a_body_that_is_no_json_is_malformed_and_other_types_are_not_taken() {
    let origin = Origin::start(Setup::default()).await;
    let mut call = Call::generate(&Value::Null);
    call.body = b"{".to_vec();
    let answer = origin.call(call).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    answer.problem("malformed_request").await;

    let call = Call::new(axum::http::Method::POST, "/api/media/generate-image")
        .header("content-type", "text/plain");
    let answer = origin.call(call).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    origin.stop().await;
}

#[tokio::test]
async fn several_images_have_seeds_in_a_row_and_are_what_each_seed_makes_alone() {
    let origin = Origin::start(Setup::default()).await;
    let body = json!({ "prompt": "a fox", "seed": 40, "n": 3 });
    let together = origin.call(Call::generate(&body)).await.json().await;
    let images = together["images"].as_array().expect("images");
    assert_eq!(images.len(), 3);
    assert_eq!(together["job"]["progress"]["steps"], 12);
    for (image, seed) in images.iter().zip(40..) {
        assert_eq!(image["seed"], seed);
        let body = json!({ "prompt": "a fox", "seed": seed });
        let alone = origin.call(Call::generate(&body)).await.json().await;
        assert_eq!(alone["images"][0]["sha256"], image["sha256"]);
        assert_ne!(alone["images"][0]["key"], image["key"]);
    }
    assert_ne!(images[0]["sha256"], images[1]["sha256"]);
    origin.stop().await;
}

#[tokio::test]
async fn every_format_is_made_as_asked() {
    let origin = Origin::start(Setup::default()).await;
    for (format, media_type, end) in [
        ("png", "image/png", ".png"),
        ("webp", "image/webp", ".webp"),
        ("jpeg", "image/jpeg", ".jpg"),
    ] {
        let body = json!({ "prompt": "p", "format": format });
        let json = origin.call(Call::generate(&body)).await.json().await;
        let image = &json["images"][0];
        assert_eq!(image["content_type"], media_type);
        assert!(image["key"].as_str().expect("key").ends_with(end));
    }
    origin.stop().await;
}

#[tokio::test]
async fn a_call_that_will_not_wait_is_answered_at_once() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine).await;
    let call = Call::generate(&json!({ "prompt": "p" })).header("prefer", "respond-async");
    let answer = origin.call(call).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(answer.header("preference-applied"), "respond-async");
    let location = answer.header("location").to_owned();
    let json = answer.json().await;
    let id = json["job"]["id"].as_str().expect("id");
    assert_eq!(location, format!("/api/jobs/{id}"));
    assert_eq!(json["images"], json!([]));
    assert_eq!(json["image_url"], Value::Null);
    gate.open();
    assert_eq!(origin.finished(id).await["status"], "succeeded");
    origin.stop().await;
}

#[tokio::test]
async fn a_call_whose_time_is_up_is_answered_with_the_job() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine).await;
    let call = Call::generate(&json!({ "prompt": "p" })).header("prefer", "wait=0");
    let answer = origin.call(call).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(answer.header("preference-applied"), "wait=0");
    gate.open();
    origin.stop().await;
}

#[tokio::test]
async fn a_full_queue_is_told_and_takes_more_later() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::start(Setup {
        engine,
        queue_limit: 1,
        ..Setup::default()
    })
    .await;
    let body = json!({ "prompt": "p" });
    let running = origin.submit(&body).await;
    gate.allow(1);
    origin.events(&running).await.until_step(1).await;
    let waiting = origin.submit(&body).await;
    let answer = origin.call(Call::generate(&body)).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    // There is room when the engine is done with what it has.
    let eta = origin.job(&running).await["eta_seconds"].as_f64();
    let seconds = eta.expect("measured").ceil().max(1.0);
    assert_eq!(answer.header("retry-after"), seconds.to_string());
    answer.problem("queue_full").await;

    gate.open();
    assert_eq!(origin.finished(&waiting).await["status"], "succeeded");
    let answer = origin.call(Call::generate(&body)).await;
    assert_eq!(answer.status, StatusCode::OK);
    origin.stop().await;
}

#[tokio::test]
async fn a_job_that_would_miss_its_deadline_is_not_accepted() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine).await;
    gate.allow(4);
    let first = origin.submit(&json!({ "prompt": "p" })).await;
    origin.finished(&first).await;
    // A million times the work of the first.
    let body = json!({ "prompt": "p", "width": 2048, "height": 2048, "steps": 150, "n": 10 });
    let call = || Call::generate(&body).header("prefer", "respond-async");
    let answer = origin.call(call().header("darkroom-deadline", "1")).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    let after = answer.header("retry-after").to_owned();
    let problem = answer.problem("deadline_missed").await;
    assert!(problem["eta_seconds"].as_f64().expect("an estimate") > 1.0);
    assert_eq!(problem["retry_after"].to_string(), after);
    let jobs = origin.call(Call::get("/api/jobs")).await.json().await;
    assert_eq!(jobs["items"].as_array().expect("jobs").len(), 1);

    let answer = origin
        .call(call().header("darkroom-deadline", "soon"))
        .await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let problem = answer.problem("invalid_request").await;
    assert_eq!(problem["errors"][0]["field"], "Darkroom-Deadline");

    // Whoever has the time gets the job, and is told how long it takes.
    let answer = origin
        .call(call().header("darkroom-deadline", "86400"))
        .await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let job = answer.json().await["job"].clone();
    assert!(job["eta_seconds"].as_f64().expect("an estimate") > 1.0);
    let path = format!("/api/jobs/{}", job["id"].as_str().expect("id"));
    origin.call(Call::delete(&path)).await;
    gate.open();
    origin.stop().await;
}

#[tokio::test]
async fn a_job_that_is_on_record_is_not_refused_for_its_deadline() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine).await;
    gate.allow(4);
    let first = origin.submit(&json!({ "prompt": "p" })).await;
    origin.finished(&first).await;
    // A million times the work of the first, under an id of its own.
    let body = json!({
        "prompt": "p", "width": 2048, "height": 2048, "steps": 150, "n": 10,
        "webhook_url": "http://127.0.0.1:9/hook",
    });
    let mut call = Call::generate(&body).header("prefer", "respond-async");
    call.query = format!("job={}", uuid::Uuid::now_v7());
    for deadline in ["86400", "1"] {
        let answer = origin.call(call.clone().header("darkroom-deadline", deadline));
        assert_eq!(answer.await.status, StatusCode::ACCEPTED, "{deadline}");
    }
    let id = call.query.trim_start_matches("job=");
    origin.call(Call::delete(&format!("/api/jobs/{id}"))).await;
    gate.open();
    origin.stop().await;
}

#[tokio::test]
async fn a_call_that_names_its_job_makes_one_job_however_often_it_is_sent() {
    let origin = Origin::start(Setup::default()).await;
    let id = "0199c0de-0000-7000-8000-000000000001";
    let named = |query: &str| {
        let mut call = Call::generate(&json!({ "prompt": "a fox" }));
        query.clone_into(&mut call.query);
        call
    };
    let query = format!("job={id}");
    let first = origin.call(named(&query)).await.json().await;
    assert_eq!(first["job"]["id"], id);
    let again = origin.call(named(&query)).await.json().await;
    assert_eq!(again, first);
    let jobs = origin.call(Call::get("/api/jobs")).await.json().await;
    assert_eq!(jobs["items"].as_array().expect("jobs").len(), 1);

    let answer = origin.call(named("job=mine")).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        answer.problem("invalid_request").await["errors"][0]["field"],
        "job"
    );
    origin.stop().await;
}
