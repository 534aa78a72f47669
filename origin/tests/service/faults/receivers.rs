//! Webhooks' receivers that are down or slow. Each end of a job reaches its receiver at least once,
//! always under one id.

use std::collections::BTreeMap;

use serde_json::json;

use super::world::{Start, World};
use crate::support::receiver::{Receiver, Reply};
use crate::support::{database, until};

fn start() -> Start {
    Start {
        environment: vec![("DARKROOM_ALLOWED_NETWORKS", "127.0.0.1".to_owned())],
        ..Start::default()
    }
}

/// How often the receiver was told of each job, by the ids of what it was told.
fn told(receiver: &Receiver) -> BTreeMap<(String, String), usize> {
    let mut told = BTreeMap::new();
    for asked in receiver.asked() {
        let event = asked.json();
        assert_eq!(event["type"], "job.succeeded");
        let job = event["data"]["id"].as_str().expect("a job").to_owned();
        *told
            .entry((job, asked.header("webhook-id").to_owned()))
            .or_default() += 1;
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/test faults"]
async fn the_receiver_is_down() {
    let world = World::new().await;
    let receiver = Receiver::start().await;
    let (url, address) = (receiver.url(), receiver.address.to_string());
    drop(receiver);
    let origin = world.start_with("a", start()).await;
    let fields = json!({ "steps": 1, "webhook_url": url });
    world.submit(&origin, 3, fields).await;
    let books = world.check("webhook receiver down for a while", &origin);
    assert_eq!(books.await.pictures, 3);
    let mut database = database(world.folder()).await;
    let failed = "SELECT COUNT(*) FROM webhook_attempts WHERE status IS NULL";
    until(async || {
        let count = sqlx::query_scalar::<_, i64>(failed);
        count.fetch_one(&mut database).await.expect("asked") >= 3
    })
    .await;
    let receiver = Receiver::at(&address).await;
    until(async || told(&receiver).len() == 3).await;
    assert!(told(&receiver).values().all(|times| *times == 1));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/test faults"]
async fn the_receiver_is_slow_and_the_origin_killed_meanwhile() {
    let world = World::new().await;
    let receiver = Receiver::start().await;
    let never = std::sync::Arc::default();
    receiver.replies((0..3).map(|_| Reply::Held(std::sync::Arc::clone(&never))));
    let mut origin = world.start_with("a", start()).await;
    let fields = json!({ "steps": 1, "webhook_url": receiver.url() });
    world.submit(&origin, 3, fields).await;
    until(async || told(&receiver).len() == 3).await;
    origin.kill();
    // The dead one's leases are over.
    sqlx::query("UPDATE webhook_deliveries SET due_at = 0")
        .execute(&mut database(world.folder()).await)
        .await
        .expect("updated");
    let origin = world.start_with("a", start()).await;
    until(async || told(&receiver).values().all(|times| *times == 2)).await;
    assert_eq!(told(&receiver).len(), 3);
    let books = world.check("webhook receiver slow, origin killed", &origin);
    assert_eq!(books.await.pictures, 3);
}
