//! A machine's clock that jumps.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;

use super::world::{Start, World, write_row};
use crate::support::call::Call;
use crate::support::until;

/// Builds what stands between a process and the system's clock.
fn clock(folder: &Path) -> Option<String> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/faults/clock.c");
    let library = folder.join("clock.so");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .args([source, "-ldl"])
        .status();
    let built = built.is_ok_and(|status| status.success());
    built.then(|| library.display().to_string())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/test faults"]
async fn the_clock_jumps_ahead_and_back() {
    const FAULT: &str = "clock jumps an hour ahead and back";
    let world = World::new().await;
    let Some(library) = clock(world.folder()) else {
        write_row(FAULT, None);
        return;
    };
    let ahead = world.folder().join("seconds-ahead");
    fs::write(&ahead, "0").expect("written");
    let start = Start {
        environment: vec![
            ("LD_PRELOAD", library),
            ("CLOCK_SECONDS_AHEAD", ahead.display().to_string()),
        ],
        ..Start::default()
    };
    let origin = world.start_with("a", start).await;
    let ids = world.submit(&origin, 3, json!({ "steps": 100 })).await;
    world
        .until(&origin, &ids[0], |job| {
            job["progress"]["step"].as_u64() > Some(1)
        })
        .await;
    fs::write(&ahead, "3600").expect("written");
    // What is signed now is an hour old by that clock.
    let call = Call::get("/api/jobs");
    until(async || {
        let answer = origin.send(&call).await.expect("answered");
        answer.status() == StatusCode::UNAUTHORIZED
    })
    .await;
    // Long enough for the heartbeat to see it too.
    tokio::time::sleep(Duration::from_secs(6)).await;
    fs::write(&ahead, "0").expect("written");
    let books = world.check(FAULT, &origin).await;
    assert_eq!(books.pictures, 3);
}
