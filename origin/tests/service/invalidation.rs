//! The CDN forgets what is deleted.

use std::path::Path;
use std::sync::Arc;

use axum::http::StatusCode;
use darkroom_origin::cloudfront::CloudFront;
use darkroom_origin::housekeeping::{COPY_FORMATS, KeeperOptions};
use darkroom_shared::key::variant_key;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::metrics::{number, scrape};
use crate::support::bucket::{Mood, TestBucket};
use crate::support::call::Call;
use crate::support::cdn::{self, Reply, TestCdn};
use crate::support::{Origin, Setup, database, until};

fn with(cloudfront: CloudFront) -> Setup {
    Setup {
        cloudfront: Some(cloudfront),
        ..Setup::default()
    }
}

async fn made(origin: &Origin, visibility: &str) -> Value {
    let body = json!({ "prompt": "p", "visibility": visibility });
    let id = origin.submit(&body).await;
    origin.finished(&id).await["images"][0].clone()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().expect("text")
}

fn path_of(image: &Value) -> String {
    format!("/{}", text(image, "key"))
}

async fn delete(origin: &Origin, image: &Value) -> StatusCode {
    let path = format!("/api/images/{}", text(image, "id"));
    origin.call(Call::delete(&path)).await.status
}

/// Rows that say that something is to be told.
async fn waiting(folder: &Path) -> i64 {
    sqlx::query_scalar(
        "SELECT (SELECT COUNT(*) FROM invalidations) + (SELECT COUNT(*) FROM invalidation_batches)",
    )
    .fetch_one(&mut database(folder).await)
    .await
    .expect("counted")
}

async fn change(folder: &Path, statement: &'static str) {
    sqlx::query(statement)
        .execute(&mut database(folder).await)
        .await
        .expect("changed");
}

#[tokio::test]
async fn a_deleted_picture_is_told_with_its_copies_once() {
    let folder = tempfile::tempdir().expect("folder");
    let cdn = TestCdn::start().await;
    let setup = Setup {
        keeping: KeeperOptions {
            // The stub's pictures are 64 wide.
            variant_widths: vec![16, 32],
            variant_formats: COPY_FORMATS.to_vec(),
            ..KeeperOptions::default()
        },
        ..with(cdn.client())
    };
    let origin = Origin::start_in(folder.path(), setup).await;
    for (visibility, times) in [("public", 1), ("private", 2)] {
        let image = made(&origin, visibility).await;
        let mut expected = vec![path_of(&image)];
        for width in [16, 32] {
            for format in COPY_FORMATS {
                let key = variant_key(text(&image, "key"), width, *format);
                expected.push(format!("/{}", key.expect("a picture's")));
            }
        }
        until(async || {
            let last = expected.last().expect("one");
            let copy = origin.call(Call::get(last)).await;
            let rows: Option<String> =
                sqlx::query_scalar("SELECT variants FROM images WHERE id = $1")
                    .bind(text(&image, "id"))
                    .fetch_one(&mut database(folder.path()).await)
                    .await
                    .expect("asked");
            copy.status == StatusCode::OK && rows.is_some()
        })
        .await;
        assert_eq!(delete(&origin, &image).await, StatusCode::OK);
        let told = cdn.times(times).await;
        assert!(told.contains(&expected), "{told:?}");
    }
    until(async || waiting(folder.path()).await == 0).await;
    assert_eq!((cdn.told().len(), cdn.tries()), (2, 2));
    let paths = 2 * (1 + 2 * COPY_FORMATS.len());
    let text = scrape(origin.service.admin_router()).await;
    for (series, expected) in [
        (r#"darkroom_invalidations_total{result="told"}"#, 2.0),
        ("darkroom_invalidated_paths_total", paths as f64),
    ] {
        assert_eq!(
            number(&text, series).to_bits(),
            f64::to_bits(expected),
            "{text}"
        );
    }
    origin.stop().await;
}

#[tokio::test]
async fn what_the_cdn_refuses_or_does_not_confirm_is_told_again_by_the_same_reference() {
    let folder = tempfile::tempdir().expect("folder");
    let cdn = TestCdn::start().await;
    cdn.replies([
        Reply::Status(500),
        Reply::Status(429),
        Reply::Lost,
        Reply::Busy,
        Reply::Status(403),
    ]);
    let origin = Origin::start_in(folder.path(), with(cdn.client())).await;
    let image = made(&origin, "public").await;
    assert_eq!(delete(&origin, &image).await, StatusCode::OK);
    until(async || cdn.tries() >= 6 && waiting(folder.path()).await == 0).await;
    assert_eq!(cdn.tries(), 6);
    assert_eq!(cdn.told(), [[path_of(&image)]]);
    origin.stop().await;
}

#[tokio::test]
async fn a_cdn_that_is_down_or_slow_keeps_no_deletion_waiting() {
    let folder = tempfile::tempdir().expect("folder");
    let down = TestCdn::start().await.address;
    let origin = Origin::start_in(folder.path(), with(cdn::client(down))).await;
    let [first, second] = [made(&origin, "public").await, made(&origin, "public").await];
    assert_eq!(delete(&origin, &first).await, StatusCode::OK);
    until(async || {
        let tried: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM invalidation_batches")
            .fetch_one(&mut database(folder.path()).await)
            .await
            .expect("counted");
        tried == 1
    })
    .await;
    let up = TestCdn::at(&down.to_string()).await;
    let answers = Arc::new(Notify::new());
    up.replies([Reply::Held(Arc::clone(&answers))]);
    assert_eq!(up.times(1).await, [[path_of(&first)]]);
    assert_eq!(delete(&origin, &second).await, StatusCode::OK);
    answers.notify_one();
    let told = up.times(2).await;
    assert!(told.contains(&vec![path_of(&second)]), "{told:?}");
    until(async || waiting(folder.path()).await == 0).await;
    origin.stop().await;
}

#[tokio::test]
async fn a_deletion_that_was_answered_is_told_by_the_next_process() {
    let folder = tempfile::tempdir().expect("folder");
    let cdn = TestCdn::start().await;
    cdn.replies((0..100).map(|_| Reply::Status(503)));
    let dead = Origin::start_in(folder.path(), with(cdn.client())).await;
    let image = made(&dead, "public").await;
    assert_eq!(delete(&dead, &image).await, StatusCode::OK);
    drop(dead);
    assert_eq!(cdn.told().len(), 0);

    let well = TestCdn::start().await;
    change(folder.path(), "UPDATE invalidation_batches SET due_at = 0").await;
    let next = Origin::start_in(folder.path(), with(well.client())).await;
    assert_eq!(well.times(1).await, [[path_of(&image)]]);
    until(async || waiting(folder.path()).await == 0).await;
    next.stop().await;
}

#[tokio::test]
async fn what_a_dead_process_may_have_told_is_told_again_and_done_once() {
    let folder = tempfile::tempdir().expect("folder");
    let cdn = TestCdn::start().await;
    cdn.replies([Reply::Held(Arc::new(Notify::new()))]);
    let dead = Origin::start_in(folder.path(), with(cdn.client())).await;
    let image = made(&dead, "public").await;
    assert_eq!(delete(&dead, &image).await, StatusCode::OK);
    cdn.times(1).await;
    // The CDN has heard; nobody has written that down.
    drop(dead);
    assert_eq!(waiting(folder.path()).await, 1);
    change(folder.path(), "UPDATE invalidation_batches SET due_at = 0").await;
    let next = Origin::start_in(folder.path(), with(cdn.client())).await;
    until(async || waiting(folder.path()).await == 0).await;
    assert_eq!(cdn.tries(), 2);
    assert_eq!(cdn.told(), [[path_of(&image)]]);
    next.stop().await;
}

#[tokio::test]
async fn what_could_be_fetched_once_more_is_told_once_more() {
    let folder = tempfile::tempdir().expect("folder");
    let (bucket, cdn) = (TestBucket::start().await, TestCdn::start().await);
    let setup = Setup {
        storage: Some(bucket.storage()),
        ..with(cdn.client())
    };
    let origin = Origin::start_in(folder.path(), setup).await;
    let image = made(&origin, "public").await;
    bucket.set(Mood::Away);
    assert_eq!(
        delete(&origin, &image).await,
        StatusCode::SERVICE_UNAVAILABLE
    );
    // The store still has it after a while.
    change(folder.path(), "UPDATE invalidations SET since = 0").await;
    assert_eq!(cdn.times(1).await, [[path_of(&image)]]);
    bucket.set(Mood::Well);
    assert_eq!(delete(&origin, &image).await, StatusCode::OK);
    assert_eq!(cdn.times(2).await[1], [path_of(&image)]);
    origin.stop().await;
}

#[tokio::test]
async fn a_picture_whose_time_is_over_is_told_too() {
    let folder = tempfile::tempdir().expect("folder");
    let first = Origin::start_in(folder.path(), Setup::default()).await;
    let image = made(&first, "public").await;
    first.stop().await;
    change(folder.path(), "UPDATE images SET stored_at = 1").await;

    let cdn = TestCdn::start().await;
    let setup = Setup {
        keeping: KeeperOptions {
            retention_days: Some(30),
            ..KeeperOptions::default()
        },
        ..with(cdn.client())
    };
    let origin = Origin::start_in(folder.path(), setup).await;
    assert_eq!(cdn.times(1).await[0], [path_of(&image)]);
    origin.stop().await;
}

#[tokio::test]
async fn where_there_is_no_cdn_nothing_waits_for_one_for_long() {
    let folder = tempfile::tempdir().expect("folder");
    let origin = Origin::start_in(folder.path(), Setup::default()).await;
    let image = made(&origin, "public").await;
    assert_eq!(delete(&origin, &image).await, StatusCode::OK);
    origin.stop().await;
    assert_eq!(waiting(folder.path()).await, 1);
    // As if it had been a day ago: the first round is at once.
    change(folder.path(), "UPDATE invalidations SET since = 1").await;
    let next = Origin::start_in(folder.path(), Setup::default()).await;
    until(async || waiting(folder.path()).await == 0).await;
    next.stop().await;
}
