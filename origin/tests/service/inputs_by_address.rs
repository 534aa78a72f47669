//! Pictures to begin with, fetched from where a request says they are.

use std::io::Cursor;
use std::sync::Arc;

use axum::http::StatusCode;
use darkroom_shared::limits::LIMITS;
use futures_util::future::join_all;
use image::{ImageFormat, RgbImage};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::support::call::Call;
use crate::support::receiver::{Receiver, Reply};
use crate::support::{Origin, Setup};

fn png() -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    RgbImage::from_pixel(64, 64, image::Rgb([9, 8, 7]))
        .write_to(&mut file, ImageFormat::Png)
        .expect("written");
    file.into_inner()
}

#[tokio::test]
async fn picture_and_mask_are_fetched_and_named_by_their_digests() {
    let origin = Origin::start(Setup::default()).await;
    let place = Receiver::start().await;
    place.replies([Reply::File(png()), Reply::Chunked(png())]);
    let body = json!({ "prompt": "p", "init_image": place.url(), "mask": place.url() });
    let answer = origin.call(Call::generate(&body)).await;
    assert_eq!(answer.status, StatusCode::OK);
    let recipe = answer.json().await["recipe"].take();
    let digest = hex::encode(Sha256::digest(png()));
    assert_eq!([&recipe["init_image"], &recipe["mask"]], [&digest, &digest]);
    assert_eq!(recipe["width"], 64);
    origin.stop().await;
}

#[tokio::test]
async fn a_call_that_is_repeated_asks_no_more_for_its_picture() {
    let origin = Origin::start(Setup::default()).await;
    let place = Receiver::start().await;
    place.replies([Reply::File(png()), Reply::Status(404)]);
    let body = json!({ "prompt": "p", "init_image": place.url() });
    let mut call = Call::generate(&body);
    call.query = format!("job={}", Uuid::now_v7());
    let first = origin.call(call.clone()).await.json().await;
    let again = origin.call(call).await;
    assert_eq!(again.status, StatusCode::OK);
    assert_eq!(again.json().await["images"], first["images"]);
    assert_eq!(place.asked().len(), 1);
    origin.stop().await;
}

#[tokio::test]
async fn what_cannot_be_fetched_is_named_and_no_job() {
    let origin = Origin::start(Setup::default()).await;
    let (place, elsewhere) = (Receiver::start().await, Receiver::start().await);
    let too_large = LIMITS.input_bytes.max as usize + 1;
    place.replies([
        Reply::Status(404),
        Reply::Redirect(elsewhere.url()),
        Reply::File(b"<html>".to_vec()),
        Reply::File(vec![0; too_large]),
        Reply::Chunked(vec![0; too_large]),
    ]);
    for expected in [
        "answers 404",
        "not followed",
        "PNG, JPEG or WebP",
        "more than 10485760 bytes",
        "more than 10485760 bytes",
    ] {
        let body = json!({ "prompt": "p", "init_image": place.url() });
        let error = refused(&origin, &body).await;
        let message = error["message"].as_str().expect("text");
        assert_eq!(error["field"], "init_image");
        assert!(message.contains(expected), "{message}");
    }
    for (field, url) in [
        ("init_image", "https://10.0.0.1/a.png"),
        ("init_image", "https://169.254.169.254/latest/meta-data"),
        ("webhook_url", "http://8.8.8.8/hook"),
        ("webhook_url", "https://[::1]/hook"),
    ] {
        let body = json!({ "prompt": "p", field: url });
        assert_eq!(refused(&origin, &body).await["field"], field, "{url}");
    }
    assert_eq!(elsewhere.asked().len(), 0);
    let jobs = origin.call(Call::get("/api/jobs")).await.json().await;
    assert_eq!(jobs["items"], json!([]));
    origin.stop().await;
}

#[tokio::test]
async fn servers_that_do_not_answer_one_account_hold_up_no_other() {
    let origin = Origin::start(Setup::default()).await;
    let (silent, place) = (Receiver::start().await, Receiver::start().await);
    let never = Arc::new(Notify::new());
    silent.replies((0..9).map(|_| Reply::Held(Arc::clone(&never))));
    place.replies([Reply::File(png())]);
    let begun_with = |url: String| Call::generate(&json!({ "prompt": "p", "init_image": url }));
    let stuck = join_all((0..9).map(|_| origin.call(begun_with(silent.url()).by("mallory"))));
    let others = async {
        silent.times(2).await;
        origin.call(begun_with(place.url()).by("bob")).await
    };
    tokio::select! {
        _ = stuck => panic!("nobody answers them"),
        answer = others => assert_eq!(answer.status, StatusCode::OK),
    }
    assert_eq!(silent.asked().len(), 2);
    origin.stop().await;
}

async fn refused(origin: &Origin, body: &Value) -> Value {
    let answer = origin.call(Call::generate(body)).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    answer.problem("invalid_request").await["errors"][0].clone()
}
