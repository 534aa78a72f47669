//! Pictures in a bucket: a real S3 server, in this process.

use axum::http::StatusCode;
use bytes::Bytes;
use darkroom_origin::storage::{About, Metadata, Object, StorageError};
use serde_json::{Value, json};

use crate::support::bucket::{Mood, TestBucket};
use crate::support::call::Call;
use crate::support::engine::StubEngine;
use crate::support::{Origin, Setup, until};

fn with(bucket: &TestBucket) -> Setup {
    Setup {
        storage: Some(bucket.storage()),
        ..Setup::default()
    }
}

async fn picture(origin: &Origin, job: &Value) -> Bytes {
    let key = job["images"][0]["key"].as_str().expect("key");
    let answer = origin.call(Call::get(&format!("/{key}"))).await;
    assert_eq!(answer.status, StatusCode::OK);
    answer.bytes().await
}

#[tokio::test]
async fn a_picture_is_stored_with_its_headers_and_metadata() {
    let bucket = TestBucket::start().await;
    let origin = Origin::start(with(&bucket)).await;
    let body = json!({ "prompt": "a fox", "seed": 7, "task_id": "Bild 1 ü" });
    let answer = origin.call(Call::generate(&body)).await;
    assert_eq!(answer.status, StatusCode::OK);
    let json = answer.json().await;
    let image = &json["images"][0];
    let key = image["key"].as_str().expect("key");

    let head = bucket
        .client()
        .head_object()
        .bucket(TestBucket::name())
        .key(key)
        .send()
        .await
        .expect("stored");
    assert_eq!(head.content_type(), Some("image/png"));
    assert_eq!(
        head.cache_control(),
        Some("public, max-age=31536000, immutable")
    );
    let metadata = head.metadata().expect("metadata");
    assert_eq!(metadata["task-id"], "Bild%201%20%C3%BC");
    assert_eq!(metadata["seed"], "7");
    assert_eq!(metadata["model"], "stub");
    assert_eq!(Value::from(metadata["sha256"].clone()), image["sha256"]);
    assert_eq!(metadata["recipe-sha256"].len(), 64);
    assert!(metadata["generated-at"].ends_with('Z'));

    let bytes = picture(&origin, &json["job"]).await;
    assert_eq!(image["bytes"], bytes.len());
    let absent = "/generated/1-01234567-89ab-cdef-0123-456789abcdef.png";
    let answer = origin.call(Call::get(absent)).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    origin.stop().await;
}

#[tokio::test]
async fn a_private_pictures_object_says_that_it_is_private() {
    let bucket = TestBucket::start().await;
    let origin = Origin::start(with(&bucket)).await;
    let body = json!({ "prompt": "a fox", "visibility": "private" });
    let json = origin.call(Call::generate(&body)).await.json().await;
    let head = bucket
        .client()
        .head_object()
        .bucket(TestBucket::name())
        .key(json["images"][0]["key"].as_str().expect("key"))
        .send()
        .await
        .expect("stored");
    assert_eq!(
        head.cache_control(),
        Some("private, max-age=31536000, immutable")
    );
    let bytes = picture(&origin, &json["job"]).await;
    assert_eq!(json["images"][0]["bytes"], bytes.len());
    origin.stop().await;
}

#[tokio::test]
async fn a_second_upload_counts_only_where_the_stored_bytes_are_ours() {
    let bucket = TestBucket::start().await;
    let storage = bucket.storage();
    let object = |sha256: &str| Object {
        key: "generated/1-01234567-89ab-cdef-0123-456789abcdef.png".into(),
        content_type: "image/png".into(),
        metadata: Metadata::new(&About {
            task_id: None,
            made_at: 0,
            recipe_sha256: "r",
            model: "m",
            seed: 1,
            sha256,
        }),
        is_signed: false,
    };
    for _ in 0..2 {
        storage
            .put(&object("ours"), Bytes::from_static(b"ours"))
            .await
            .expect("stored");
    }
    let put = storage
        .put(&object("theirs"), Bytes::from_static(b"theirs"))
        .await;
    assert!(matches!(put, Err(StorageError::Taken { .. })));
}

#[tokio::test]
async fn an_upload_whose_answer_was_lost_is_not_done_twice() {
    let bucket = TestBucket::start().await;
    let origin = Origin::start(with(&bucket)).await;
    bucket.set(Mood::LosesAnAnswer);
    let answer = origin.call(Call::generate(&json!({ "prompt": "p" }))).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(bucket.uploads(), 2);
    origin.stop().await;
}

#[tokio::test]
async fn an_upload_counts_only_where_the_store_says_that_it_has_our_bytes() {
    let bucket = TestBucket::start().await;
    let origin = Origin::start(with(&bucket)).await;
    bucket.set(Mood::Swallows);
    let answer = origin.call(Call::generate(&json!({ "prompt": "p" }))).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(bucket.uploads(), 2);
    let json = answer.json().await;
    assert!(!picture(&origin, &json["job"]).await.is_empty());
    origin.stop().await;
}

#[tokio::test]
async fn a_server_of_few_words_is_understood() {
    let bucket = TestBucket::start().await;
    let origin = Origin::start(with(&bucket)).await;
    bucket.set(Mood::Terse);
    let answer = origin.call(Call::generate(&json!({ "prompt": "p" }))).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(bucket.uploads(), 1);
    let json = answer.json().await;
    let image = &json["images"][0];
    let key = image["key"].as_str().expect("key");
    let answer = origin.call(Call::get(&format!("/{key}"))).await;
    assert_eq!(answer.header("content-length"), "");
    assert_eq!(image["bytes"], answer.bytes().await.len());
    let absent = "/generated/1-01234567-89ab-cdef-0123-456789abcdef.png";
    let answer = origin.call(Call::get(absent)).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    origin.stop().await;
}

#[tokio::test]
async fn a_bucket_that_is_missing_is_no_missing_picture() {
    let bucket = TestBucket::start().await;
    let origin = Origin::start(with(&bucket)).await;
    bucket.set(Mood::NoBucket);
    let path = "/generated/1-01234567-89ab-cdef-0123-456789abcdef.png";
    let answer = origin.call(Call::get(path)).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    origin.stop().await;
}

#[tokio::test]
async fn who_only_waits_for_the_store_keeps_nobody_waiting() {
    let bucket = TestBucket::start().await;
    let (engine, gate) = StubEngine::gated();
    let setup = Setup {
        engine,
        ..with(&bucket)
    };
    let origin = Origin::start(setup).await;
    bucket.set(Mood::Away);
    let body = json!({ "prompt": "p" });
    let made = origin.submit(&body).await;
    let running = origin.submit(&body).await;
    let queued = origin.submit(&body).await;
    gate.allow(5);
    origin.events(&made).await.until_step(4).await;
    origin.events(&running).await.until_step(1).await;
    assert_eq!(origin.job(&made).await["status"], "running");
    assert_eq!(origin.job(&queued).await["queue_position"], 1);
    bucket.set(Mood::Well);
    gate.open();
    assert_eq!(origin.finished(&queued).await["status"], "succeeded");
    origin.stop().await;
}

#[tokio::test]
async fn a_job_whose_pictures_only_wait_for_the_store_is_never_given_up() {
    let folder = tempfile::tempdir().expect("folder");
    let bucket = TestBucket::start().await;
    bucket.set(Mood::Away);
    let mut gates = Vec::new();
    let mut id = String::new();
    for round in 0..5 {
        let (engine, gate) = StubEngine::gated();
        let setup = Setup {
            engine,
            ..with(&bucket)
        };
        let before = bucket.uploads();
        let origin = Origin::start_in(folder.path(), setup).await;
        if round == 0 {
            id = origin.submit(&json!({ "prompt": "p" })).await;
            gate.allow(4);
        }
        bucket.uploads_after(before).await;
        // The engine is at the next job, and touches nothing any more, when the process dies.
        origin.submit(&json!({ "prompt": "next" })).await;
        until(async || {
            let jobs = origin.call(Call::get("/api/jobs")).await.json().await;
            let mut jobs = jobs["items"].as_array().expect("items").iter();
            jobs.any(|job| job["id"] != *id && job["status"] == "running")
        })
        .await;
        gates.push(gate);
    }
    bucket.set(Mood::Well);
    let last = Origin::start_in(folder.path(), with(&bucket)).await;
    assert_eq!(last.finished(&id).await["status"], "succeeded");
    for gate in gates {
        gate.open();
    }
    last.stop().await;
}

#[tokio::test]
async fn while_the_store_is_away_jobs_wait_and_none_is_lost() {
    let bucket = TestBucket::start().await;
    let origin = Origin::start(with(&bucket)).await;
    bucket.set(Mood::Away);
    let mut jobs = Vec::new();
    for seed in 0..3 {
        jobs.push(origin.submit(&json!({ "prompt": "p", "seed": seed })).await);
    }
    // The engine goes on: every job comes to its last step although nothing can be stored.
    for id in &jobs {
        origin.events(id).await.until_step(4).await;
        assert_eq!(origin.job(id).await["status"], "running");
    }
    let list = origin.call(Call::get("/api/models")).await;
    assert_eq!(list.status, StatusCode::OK);

    bucket.set(Mood::Well);
    for id in &jobs {
        let job = origin.finished(id).await;
        assert_eq!(job["status"], "succeeded");
        assert!(!picture(&origin, &job).await.is_empty());
    }
    origin.stop().await;
}

#[tokio::test]
async fn a_picture_that_waits_for_the_store_outlives_the_process() {
    let folder = tempfile::tempdir().expect("folder");
    let bucket = TestBucket::start().await;
    bucket.set(Mood::Away);
    let first = Origin::start_in(folder.path(), with(&bucket)).await;
    let id = first.submit(&json!({ "prompt": "p" })).await;
    first.events(&id).await.until_step(4).await;
    bucket.uploads_after(0).await;
    first.stop().await;

    bucket.set(Mood::Well);
    // An engine that may not take a single step: the picture comes from the disk.
    let (engine, gate) = StubEngine::gated();
    let setup = Setup {
        engine,
        ..with(&bucket)
    };
    let next = Origin::start_in(folder.path(), setup).await;
    let job = next.finished(&id).await;
    assert_eq!(job["status"], "succeeded");
    assert_eq!(gate.done(), 0);
    assert!(!picture(&next, &job).await.is_empty());
    next.stop().await;
    let spool = std::fs::read_dir(folder.path().join("spool")).expect("spool");
    assert_eq!(spool.count(), 0, "nothing waits any more");
}

#[tokio::test]
async fn a_deleted_image_stays_hidden_until_the_bucket_has_forgotten_it_too() {
    let bucket = TestBucket::start().await;
    let origin = Origin::start(with(&bucket)).await;
    let id = origin.submit(&json!({ "prompt": "a fox" })).await;
    let image = origin.finished(&id).await["images"][0].clone();
    let key = image["key"].as_str().expect("key");
    let path = format!("/api/images/{}", image["id"].as_str().expect("id"));

    bucket.set(Mood::Away);
    let answer = origin.call(Call::delete(&path)).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    answer.problem("storage_unavailable").await;
    let hidden = origin.call(Call::get(&path)).await;
    assert_eq!(hidden.status, StatusCode::NOT_FOUND);
    let stored = || async {
        let head = bucket.client().head_object();
        head.bucket(TestBucket::name()).key(key).send().await
    };
    bucket.set(Mood::Well);
    assert!(stored().await.is_ok());

    let answer = origin.call(Call::delete(&path)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(stored().await.is_err());
    let again = origin.call(Call::delete(&path)).await.json().await;
    assert_eq!(again["again"], true);
    origin.stop().await;
}
