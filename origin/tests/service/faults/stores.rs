//! A store that is away, slow or wrong, and a disk that is full.

use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

use serde_json::json;

use super::proxy::{Behind, Proxy};
use super::world::{Start, World, write_row};
use crate::support::bucket::Mood;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/test faults"]
async fn the_store_is_down() {
    // No server at all; then one that says no.
    let world = World::new().await;
    world.bucket.set(Mood::Away);
    let origin = world.start("a").await;
    world.submit(&origin, 4, json!({ "steps": 1 })).await;
    world.bucket.uploads_after(8).await;
    world.bucket.set(Mood::Well);
    let books = world.check("S3 answers 503", &origin).await;
    assert_eq!(books.pictures, 4);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/test faults"]
async fn the_store_cannot_be_reached() {
    let world = World::new().await;
    let proxy = Proxy::start(Behind::Tcp(world.bucket.address())).await;
    let nobody = proxy.address;
    drop(proxy);
    let start = Start {
        store: Some(nobody),
        ..Start::default()
    };
    let mut origin = world.start_with("a", start).await;
    let ids = world.submit(&origin, 3, json!({ "steps": 1 })).await;
    world
        .until(&origin, &ids[2], |job| job["progress"]["step"] == 1)
        .await;
    origin.kill();
    let origin = world.start("a").await;
    let books = world.check("S3 not there, origin killed", &origin).await;
    assert_eq!(books.pictures, 3);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/test faults"]
async fn the_store_is_slow() {
    let world = World::new().await;
    world.bucket.set(Mood::Slow);
    let origin = world.start("a").await;
    world.submit(&origin, 4, json!({ "steps": 1 })).await;
    let books = world.check("S3 takes 2 s", &origin).await;
    assert_eq!(books.pictures, 4);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/test faults"]
async fn the_stores_answers_are_lost() {
    let world = World::new().await;
    let origin = world.start("a").await;
    for _ in 0..3 {
        let before = world.bucket.done();
        world.bucket.set(Mood::LosesAnAnswer);
        world.submit(&origin, 1, json!({ "steps": 1 })).await;
        crate::support::until(async || world.bucket.done() > before).await;
    }
    let books = world.check("S3 stores and answers 500", &origin).await;
    assert_eq!(books.pictures, 3);
}

/// Larger than what is cut after: 256 × 256 noise is about 200 kB.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/test faults"]
async fn connections_to_the_store_are_cut_and_corrupt() {
    for (fault, cuts, corruptions) in [
        ("connections to S3 reset mid-body", 3, 0),
        ("bytes to S3 corrupted", 0, 3),
    ] {
        let world = World::new().await;
        let proxy = Proxy::start(Behind::Tcp(world.bucket.address())).await;
        proxy.troubles.cuts.store(cuts, Ordering::SeqCst);
        proxy
            .troubles
            .corruptions
            .store(corruptions, Ordering::SeqCst);
        let start = Start {
            store: Some(proxy.address),
            ..Start::default()
        };
        let origin = world.start_with("a", start).await;
        let fields = json!({ "steps": 1, "width": 256, "height": 256 });
        world.submit(&origin, 3, fields).await;
        let books = world.check(fault, &origin).await;
        assert_eq!(books.pictures, 3);
        let left = [&proxy.troubles.cuts, &proxy.troubles.corruptions];
        let left = left.map(|count| count.load(Ordering::SeqCst));
        assert_eq!(left, [0, 0], "not all troubles came about");
    }
}

/// The options by which `unshare` gives a process mounts of its own here, as root or as anybody.
fn mounts() -> Option<&'static [&'static str]> {
    let all: [&[&str]; 2] = [&["--mount"], &["--mount", "--map-root-user"]];
    all.into_iter().find(|options| {
        let mut trial = Command::new("unshare");
        let trial = trial.args(*options).arg("true").stderr(Stdio::null());
        trial.status().is_ok_and(|status| status.success())
    })
}

/// The spool has a disk of its own, of 256 kB, in a namespace of mounts that ends with the process.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/test faults"]
async fn the_spools_disk_is_full() {
    const FAULT: &str = "disk full on the spool";
    let Some(mounts) = mounts() else {
        write_row(FAULT, None);
        return;
    };
    let world = World::new().await;
    let start = Start {
        mounts,
        before: "mkdir -p \"$1/spool\" && mount -t tmpfs -o size=256k tmpfs \"$1/spool\" &&",
        ..Start::default()
    };
    let origin = world.start_with("a", start).await;
    // Two that fit, and one that does not: 512 × 512 noise is about 800 kB.
    world.submit(&origin, 1, json!({ "steps": 1 })).await;
    let large = json!({ "steps": 1, "width": 512, "height": 512 });
    world.submit(&origin, 1, large).await;
    world.submit(&origin, 1, json!({ "steps": 1 })).await;
    let books = world.check(FAULT, &origin).await;
    assert_eq!((books.pictures, books.failures), (2, 1));
}
