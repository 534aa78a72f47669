//! Pictures to begin with: `init_image`, `mask`, `strength`.

use std::io::Cursor;

use axum::http::{Method, StatusCode};
use darkroom_shared::input::data_url;
use image::{GrayImage, ImageFormat, RgbImage};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sqlx::Connection as _;

use crate::support::call::Call;
use crate::support::engine::StubEngine;
use crate::support::{Origin, Setup, database};

/// A PNG of every colour.
fn png(width: u32, height: u32) -> Vec<u8> {
    let colour = |x, y| image::Rgb([x as u8, y as u8, (x * y) as u8]);
    let mut file = Cursor::new(Vec::new());
    RgbImage::from_fn(width, height, colour)
        .write_to(&mut file, ImageFormat::Png)
        .expect("written");
    file.into_inner()
}

/// A PNG whose left half is white.
fn left_half(width: u32, height: u32) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    GrayImage::from_fn(width, height, |x, _| {
        image::Luma([if x < width / 2 { 255 } else { 0 }])
    })
    .write_to(&mut file, ImageFormat::Png)
    .expect("written");
    file.into_inner()
}

fn url(file: &[u8]) -> String {
    data_url("image/png", file)
}

/// The first picture of a job that has succeeded.
async fn picture(origin: &Origin, job: &Value) -> RgbImage {
    let key = job["images"][0]["key"].as_str().expect("key");
    let bytes = origin
        .call(Call::get(&format!("/{key}")))
        .await
        .bytes()
        .await;
    image::load_from_memory(&bytes).expect("a PNG").into_rgb8()
}

async fn refused_field(origin: &Origin, call: Call) -> Value {
    let answer = origin.call(call).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    answer.problem("invalid_request").await["errors"][0].clone()
}

#[tokio::test]
async fn a_run_begins_with_the_picture_that_was_sent() {
    let origin = Origin::start(Setup::default()).await;
    let file = png(72, 80);
    let body = json!({ "prompt": "p", "init_image": url(&file), "strength": 0.5 });
    let json = origin.call(Call::generate(&body)).await.json().await;
    let recipe = &json["recipe"];
    assert_eq!(recipe["init_image"], hex::encode(Sha256::digest(&file)));
    assert_eq!(recipe["strength"], 0.5);
    assert_eq!([&recipe["width"], &recipe["height"]], [72, 80]);
    // Half of four steps.
    assert_eq!(json["job"]["progress"], json!({ "step": 2, "steps": 2 }));
    let sent = image::load_from_memory(&file).expect("a PNG").into_rgb8();
    assert_eq!(picture(&origin, &json).await, sent);
    origin.stop().await;
}

#[tokio::test]
async fn picture_and_mask_are_brought_to_the_size_of_the_job() {
    let origin = Origin::start(Setup::default()).await;
    let body = json!({
        "prompt": "p", "width": 64, "height": 64,
        "init_image": url(&png(130, 70)), "mask": url(&left_half(20, 10)),
    });
    let json = origin.call(Call::generate(&body)).await.json().await;
    let picture = picture(&origin, &json).await;
    assert_eq!(picture.dimensions(), (64, 64));
    for (x, y, pixel) in picture.enumerate_pixels() {
        // Not where light and dark run into each other.
        if !(28..36).contains(&x) {
            assert_eq!(pixel.0 == [0; 3], x < 32, "{x} {y}");
        }
    }
    origin.stop().await;
}

#[tokio::test]
async fn an_own_image_is_named_by_its_id_and_no_other() {
    let origin = Origin::start(Setup::default()).await;
    let first = Call::generate(&json!({ "prompt": "a fox", "seed": 1 }));
    let first = origin.call(first).await.json().await;
    let id = &first["images"][0]["id"];
    let body = json!({ "prompt": "a wolf", "init_image": id });
    let second = origin.call(Call::generate(&body)).await.json().await;
    assert_eq!(second["recipe"]["init_image"], first["images"][0]["sha256"]);
    assert_eq!(
        picture(&origin, &second).await,
        picture(&origin, &first).await
    );

    let foreign = refused_field(&origin, Call::generate(&body).by("bob")).await;
    let unknown = json!({
        "prompt": "a wolf", "init_image": "01890000-0000-7000-8000-000000000000",
    });
    let unknown = refused_field(&origin, Call::generate(&unknown)).await;
    assert_eq!(foreign["field"], "init_image");
    assert_eq!(foreign, unknown);
    origin.stop().await;
}

#[tokio::test]
async fn what_cannot_be_decoded_is_named_and_no_job() {
    let origin = Origin::start(Setup::default()).await;
    let whole = png(64, 64);
    let half = &whole[..whole.len() / 2];
    for (image, mask, field) in [(half, &whole[..], "init_image"), (&whole[..], half, "mask")] {
        let body = json!({ "prompt": "p", "init_image": url(image), "mask": url(mask) });
        let error = refused_field(&origin, Call::generate(&body)).await;
        assert_eq!(error["field"], field);
    }
    let opaque = json!({
        "prompt": "p", "init_image": url(&whole), "mask": url(&whole), "mask_channel": "alpha",
    });
    let error = refused_field(&origin, Call::generate(&opaque)).await;
    assert_eq!(error["field"], "mask");
    let jobs = origin.call(Call::get("/api/jobs")).await.json().await;
    assert_eq!(jobs["items"], json!([]));
    origin.stop().await;
}

#[tokio::test]
async fn what_a_job_begins_with_outlives_a_dead_process_and_goes_with_the_job() {
    let folder = tempfile::tempdir().expect("folder");
    let (engine, gate) = StubEngine::gated();
    let setup = Setup {
        engine,
        ..Setup::default()
    };
    let dead = Origin::start_in(folder.path(), setup).await;
    let file = png(64, 64);
    let body = json!({ "prompt": "p", "init_image": url(&file), "mask": url(&left_half(64, 64)) });
    let running = dead.submit(&body).await;
    let queued = dead.submit(&body).await;
    let canceled = dead.submit(&body).await;
    gate.allow(1);
    dead.events(&running).await.until_step(1).await;
    dead.call(Call::new(Method::DELETE, &format!("/api/jobs/{canceled}")))
        .await;
    drop(dead);

    let mut connection = database(folder.path()).await;
    let mut kept = async || -> i64 {
        let count = sqlx::query_scalar("SELECT COUNT(*) FROM job_starts");
        count.fetch_one(&mut connection).await.expect("counted")
    };
    assert_eq!(kept().await, 2);
    let next = Origin::start_in(folder.path(), Setup::default()).await;
    for id in [running, queued] {
        let job = next.finished(&id).await;
        assert_eq!(job["status"], "succeeded");
        let picture = picture(&next, &job).await;
        assert_eq!(picture.get_pixel(10, 10).0, [0; 3]);
        assert_eq!(picture.get_pixel(50, 10).0, [50, 10, 244]);
    }
    assert_eq!(kept().await, 0);
    connection.close().await.expect("closed");
    gate.open();
    next.stop().await;
}
