//! What goes wrong with a database server, and between those who share it: for
//! `scripts/with-postgres` alone, since `SQLite` is in the process.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use url::Url;

use super::process::Process;
use super::proxy::{Behind, Proxy, Troubles};
use super::world::{Start, World};
use crate::support::call::Call;
use crate::support::{databases, on_postgres, until};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/test faults"]
async fn the_database_is_restarted() {
    const FAULT: &str = "PostgreSQL restarted";
    let restart = std::env::var("DARKROOM_TEST_POSTGRES_RESTART").expect("a server");
    let world = World::new().await;
    let origin = world.start("a").await;
    let ids = world.submit(&origin, 4, json!({ "steps": 20 })).await;
    for step in [2, 5] {
        world
            .until(&origin, &ids[0], |job| {
                job["progress"]["step"].as_u64() > Some(step) || job["status"] == "succeeded"
            })
            .await;
        let restarted = Command::new(&restart).status().expect("a script");
        assert!(restarted.success());
    }
    let books = world.check(FAULT, &origin).await;
    assert_eq!(books.pictures, 4);
}

/// An origin whose connections to the database go through a proxy.
async fn behind_proxy(world: &World) -> (Process, Proxy) {
    let mut url: Url = databases::url(world.folder()).await.parse().expect("a URL");
    let socket = url.query_pairs().find(|(name, _)| name == "host");
    let socket = PathBuf::from(socket.expect("a socket").1.as_ref()).join(".s.PGSQL.5432");
    let proxy = Proxy::start(Behind::Unix(socket)).await;
    url.set_query(Some("sslmode=disable"));
    url.set_host(Some("127.0.0.1")).expect("a host");
    url.set_port(Some(proxy.address.port())).expect("a port");
    let start = Start {
        database: Some(url.into()),
        ..Start::default()
    };
    (world.start_with("a", start).await, proxy)
}

/// No end, no reset: as where a firewall has forgotten a connection, or a machine lost its power.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/test faults"]
async fn connections_to_the_database_go_silent() {
    const FAULT: &str = "connections to PostgreSQL gone silent";
    let world = World::new().await;
    let (origin, proxy) = behind_proxy(&world).await;
    let ids = world.submit(&origin, 4, json!({ "steps": 50 })).await;
    world
        .until(&origin, &ids[0], |job| job["status"] == "running")
        .await;
    let is_ready = async || {
        let answer = origin.send(&Call::get("/readyz")).await;
        answer.is_ok_and(|answer| answer.status().is_success())
    };
    proxy.troubles.era.store(1, Ordering::SeqCst);
    until(async || !is_ready().await).await;
    proxy.troubles.era.store(2, Ordering::SeqCst);
    until(is_ready).await;
    let books = world.check(FAULT, &origin).await;
    assert_eq!(books.pictures, 4);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/test faults"]
async fn connections_to_the_database_are_cut_and_slow() {
    const FAULT: &str = "connections to PostgreSQL cut and slow";
    let world = World::new().await;
    let (origin, proxy) = behind_proxy(&world).await;
    world.submit(&origin, 4, json!({ "steps": 20 })).await;
    proxy.troubles.delays.store(40, Ordering::SeqCst);
    proxy.troubles.cuts.store(4, Ordering::SeqCst);
    let books = world.check(FAULT, &origin).await;
    assert_eq!(books.pictures, 4);
}

/// Not what a message says, but where one begins: whatever else becomes another on the way nobody can
/// see without TLS, which ends the connection.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/test faults"]
async fn what_is_said_to_the_database_is_corrupted() {
    corrupted("bytes to PostgreSQL corrupted", |troubles| {
        &troubles.garbled_out
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/test faults"]
async fn what_the_database_says_is_corrupted() {
    corrupted("bytes from PostgreSQL corrupted", |troubles| {
        &troubles.garbled_in
    })
    .await;
}

async fn corrupted(fault: &str, direction: impl Fn(&Troubles) -> &AtomicUsize) {
    let world = World::new().await;
    let (origin, proxy) = behind_proxy(&world).await;
    for fields in [json!({ "steps": 20 }), json!({ "steps": 20, "n": 2 })] {
        let ids = world.submit(&origin, 2, fields).await;
        let garbled = direction(&proxy.troubles);
        world
            .until(&origin, &ids[0], |job| job["status"] != "queued")
            .await;
        garbled.store(5, Ordering::SeqCst);
        until(async || garbled.load(Ordering::SeqCst) == 0).await;
    }
    let books = world.check(fault, &origin).await;
    assert_eq!(books.pictures, 4);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/test faults"]
async fn of_two_origins_on_one_database_one_is_killed() {
    const FAULT: &str = "two origins on one database, one killed";
    assert!(on_postgres());
    let world = World::new().await;
    let mut first = world.start("a").await;
    let second = world.start("b").await;
    let mut ids = world.submit(&first, 3, json!({ "steps": 50 })).await;
    let fields = json!({ "steps": 50, "n": 2 });
    ids.extend(world.submit(&first, 3, fields).await);
    world
        .until(&second, &ids[1], |job| job["status"] == "running")
        .await;
    first.kill();
    let books = world.check(FAULT, &second).await;
    assert_eq!(books.pictures, 6);
}
