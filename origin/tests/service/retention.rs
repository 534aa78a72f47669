//! Pictures that are kept for a time.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use darkroom_origin::database::Database;
use darkroom_origin::housekeeping::{COPY_FORMATS, KeeperOptions, Purge};
use darkroom_origin::storage::{Folder, Storage};
use serde_json::json;

use crate::support::call::Call;
use crate::support::{Origin, Setup, database, databases, until};

#[tokio::test]
async fn images_go_with_their_copies_when_their_time_is_over_and_not_before() {
    let folder = tempfile::tempdir().expect("folder");
    let setup = Setup {
        keeping: KeeperOptions {
            variant_widths: vec![16],
            variant_formats: COPY_FORMATS.to_vec(),
            ..KeeperOptions::default()
        },
        ..Setup::default()
    };
    let first = Origin::start_in(folder.path(), setup).await;
    let mut images = Vec::new();
    for seed in [1, 2] {
        let id = first.submit(&json!({ "prompt": "p", "seed": seed })).await;
        let mut image = first.finished(&id).await["images"][0].clone();
        let path = format!("/api/images/{}", image["id"].as_str().expect("text"));
        until(async || {
            image = first.call(Call::get(&path)).await.json().await;
            image.get("variants").is_some()
        })
        .await;
        images.push(image);
    }
    first.stop().await;
    let text = |index: usize, name: &str| {
        let image: &serde_json::Value = &images[index];
        image[name].as_str().expect("text").to_owned()
    };
    let mut rows = database(folder.path()).await;
    let days_ago = "UPDATE images SET stored_at = stored_at - $1 * 86400000 WHERE id = $2";
    for (index, days) in [(0, 31_i64), (1, 29)] {
        let aged = sqlx::query(days_ago).bind(days).bind(text(index, "id"));
        aged.execute(&mut rows).await.expect("aged");
    }

    let setup = Setup {
        keeping: KeeperOptions {
            retention_days: Some(30),
            ..KeeperOptions::default()
        },
        ..Setup::default()
    };
    let origin = Origin::start_in(folder.path(), setup).await;
    let status = async |index| {
        let path = format!("/api/images/{}", text(index, "id"));
        origin.call(Call::get(&path)).await.status
    };
    until(async || status(0).await == StatusCode::NOT_FOUND).await;
    assert_eq!(status(1).await, StatusCode::OK);

    let address = databases::address(folder.path()).await;
    let purge = Purge {
        database: Database::open(&address).await.expect("opened"),
        storage: Arc::new(Storage::Folder(Folder::new(folder.path().join("objects")))),
        restorable_for: Duration::ZERO,
    };
    // The origin's own housekeeping may have been first, and be at it.
    let now = darkroom_origin::clock::now();
    purge.all(now).await.expect("purged");
    let held = async |index: usize| {
        let copies = images[index]["variants"].as_array().expect("variants");
        let mut held = 0;
        for object in copies.iter().chain([&images[index]]) {
            let key = object["key"].as_str().expect("text");
            held += usize::from(purge.storage.holds(key).await.expect("asked"));
        }
        held
    };
    until(async || held(0).await == 0).await;
    assert_eq!(held(1).await, 1 + COPY_FORMATS.len());
    purge.database.close().await;
    origin.stop().await;
}
