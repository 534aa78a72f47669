//! Pictures that are signed (C2PA) on their way to the store.

use std::path::Path;
use std::sync::Arc;

use axum::http::StatusCode;
use bytes::Bytes;
use darkroom_credentials::{Anchors, Signer, Standing};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::metrics::{number, scrape};
use crate::support::bucket::{Mood, TestBucket};
use crate::support::call::Call;
use crate::support::engine::StubEngine;
use crate::support::{Origin, Setup, until};

const ANCHOR: &str = include_str!("../../credentials/certificates/anchor.pem");

fn signer() -> Arc<Signer> {
    let certificate = include_str!("../../credentials/certificates/es256.pem");
    let key = include_str!("../../credentials/certificates/es256.key");
    Arc::new(Signer::from_pem(certificate, &key.into()).expect("a signer"))
}

fn signing(bucket: &TestBucket) -> Setup {
    Setup {
        engine: StubEngine::signing(),
        signer: Some(signer()),
        storage: Some(bucket.storage()),
        ..Setup::default()
    }
}

async fn file(origin: &Origin, image: &Value) -> Bytes {
    let key = image["key"].as_str().expect("key");
    let answer = origin.call(Call::get(&format!("/{key}"))).await;
    assert_eq!(answer.status, StatusCode::OK);
    answer.bytes().await
}

/// A stored picture is what its row says, and signed by us.
async fn is_signed(origin: &Origin, image: &Value) {
    let bytes = file(origin, image).await;
    assert_eq!(image["bytes"], bytes.len());
    assert_eq!(image["sha256"], hex::encode(Sha256::digest(&bytes)));
    let anchors = Anchors::from_pem(ANCHOR.to_owned()).expect("certificates");
    let media_type = image["content_type"].as_str().expect("a type");
    let report = darkroom_credentials::read(&bytes, media_type, Some(&anchors));
    let report = report.expect("read").expect("one");
    assert_eq!(report.standing, Standing::Trusted, "{report:?}");
    assert!(report.is_by_model);
}

#[tokio::test]
async fn pictures_of_every_format_are_stored_with_their_credentials() {
    let bucket = TestBucket::start().await;
    let origin = Origin::start(signing(&bucket)).await;
    for format in ["png", "jpeg", "webp"] {
        let body = json!({ "prompt": "a fox", "format": format });
        let json = origin.call(Call::generate(&body)).await.json().await;
        is_signed(&origin, &json["images"][0]).await;
    }
    origin.stop().await;
}

fn empty(spool: &Path) {
    for entry in std::fs::read_dir(spool).expect("a spool") {
        std::fs::remove_file(entry.expect("a file").path()).expect("removed");
    }
}

/// The process ends between upload and commit, and its disk with it: what is made anew has another
/// signature.
#[tokio::test]
async fn a_picture_that_was_stored_before_it_was_signed_anew_stays_as_it_was() {
    let folder = tempfile::tempdir().expect("folder");
    let bucket = TestBucket::start().await;
    bucket.set(Mood::HoldsAnswers);
    let dead = Origin::start_in(folder.path(), signing(&bucket)).await;
    let id = dead.submit(&json!({ "prompt": "a fox", "seed": 1 })).await;
    until(async || bucket.done() == 1).await;
    drop(dead);
    empty(&folder.path().join("spool"));
    bucket.set(Mood::Well);

    let next = Origin::start_in(folder.path(), signing(&bucket)).await;
    let job = next.finished(&id).await;
    assert_eq!(job["status"], "succeeded", "{job}");
    assert_eq!(bucket.uploads(), 2);
    is_signed(&next, &job["images"][0]).await;
    let objects = bucket.client().list_objects_v2().bucket(TestBucket::name());
    let objects = objects.send().await.expect("listed");
    assert_eq!(objects.key_count(), Some(1));
    next.stop().await;
}

/// A certificate that is not set everywhere yet, or nowhere any more.
#[tokio::test]
async fn what_cannot_be_signed_here_is_made_by_who_can() {
    let folder = tempfile::tempdir().expect("folder");
    let bucket = TestBucket::start().await;
    let setup = Setup {
        signer: None,
        ..signing(&bucket)
    };
    let unable = Origin::start_in(folder.path(), setup).await;
    let id = unable.submit(&json!({ "prompt": "a fox" })).await;
    until(async || {
        let text = scrape(unable.service.admin_router()).await;
        number(&text, "darkroom_job_retries_total") > 0.0
    })
    .await;
    let text = scrape(unable.service.admin_router()).await;
    assert!(number(&text, "darkroom_step_seconds_count") < 1.0, "{text}");
    unable.stop().await;
    assert_eq!(bucket.uploads(), 0);

    let able = Origin::start_in(folder.path(), signing(&bucket)).await;
    let job = able.finished(&id).await;
    is_signed(&able, &job["images"][0]).await;
    able.stop().await;
}
