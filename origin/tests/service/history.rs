//! What is kept of jobs that ended long ago.

use axum::http::StatusCode;
use darkroom_origin::database::Database;
use darkroom_origin::housekeeping::KeeperOptions;
use serde_json::json;

use crate::support::call::Call;
use crate::support::receiver::Receiver;
use crate::support::{Origin, Setup, database, databases, until};

const DAY: i64 = 86_400_000;

async fn deliveries(origin: &Origin) -> usize {
    let answer = origin.call(Call::get("/api/webhooks/deliveries")).await;
    assert_eq!(answer.status, StatusCode::OK);
    answer.json().await["items"]
        .as_array()
        .expect("a list")
        .len()
}

#[tokio::test]
async fn of_a_job_that_ended_long_ago_its_end_stays() {
    let folder = tempfile::tempdir().expect("folder");
    let first = Origin::start_in(folder.path(), Setup::default()).await;
    let receiver = Receiver::start().await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let job = json!({ "prompt": "p", "steps": 3, "webhook_url": receiver.url() });
        let id = first.submit(&job).await;
        first.finished(&id).await;
        ids.push(id);
    }
    let mut rows = database(folder.path()).await;
    let pending = "SELECT COUNT(*) FROM webhook_deliveries WHERE state = 'pending'";
    until(async || {
        let left = sqlx::query_scalar::<_, i64>(pending).fetch_one(&mut rows);
        left.await.expect("counted") == 0
    })
    .await;
    let mut before = Vec::new();
    for id in &ids {
        before.push(first.events(id).await.rest().await);
    }
    first.stop().await;
    for (id, days) in ids.iter().zip([31, 29]) {
        let aged = sqlx::query("UPDATE jobs SET finished_at = finished_at - $1 WHERE id = $2")
            .bind(days * DAY)
            .bind(id);
        aged.execute(&mut rows).await.expect("aged");
    }

    let setup = Setup {
        keeping: KeeperOptions {
            history_days: Some(30),
            ..KeeperOptions::default()
        },
        ..Setup::default()
    };
    let origin = Origin::start_in(folder.path(), setup).await;
    until(async || deliveries(&origin).await == 1).await;
    let after = origin.events(&ids[0]).await.rest().await;
    let [end] = after.as_slice() else {
        panic!("{after:?}")
    };
    let last = before[0].last().expect("events");
    assert_eq!((end.name.as_str(), &end.id), ("succeeded", &last.id));
    let kept = origin.events(&ids[1]).await.rest().await;
    assert_eq!(kept.len(), before[1].len());
    assert_eq!(origin.job(&ids[0]).await["images"][0]["width"], 64);
    origin.stop().await;
}

#[tokio::test]
async fn a_job_of_which_somebody_is_still_to_be_told_keeps_its_history() {
    let folder = tempfile::tempdir().expect("folder");
    let origin = Origin::start_in(folder.path(), Setup::default()).await;
    let mut ids = Vec::new();
    // Nobody listens at the first one's receiver.
    for url in ["http://127.0.0.1:9/", ""] {
        let mut job = json!({ "prompt": "p", "steps": 3 });
        if !url.is_empty() {
            job["webhook_url"] = json!(url);
        }
        let id = origin.submit(&job).await;
        origin.finished(&id).await;
        ids.push(id);
    }
    let address = databases::address(folder.path()).await;
    let shared = Database::open(&address).await.expect("opened");
    let in_a_day = shared.now().await.expect("asked") + DAY;
    assert_eq!(shared.forget_history(in_a_day, 9).await.expect("done"), 1);
    assert_eq!(shared.forget_history(in_a_day, 9).await.expect("done"), 0);
    let mut counts = Vec::new();
    for id in &ids {
        counts.push(origin.events(id).await.rest().await.len());
    }
    assert!(counts[0] > 1 && counts[1] == 1, "{counts:?}");
    shared.close().await;
    origin.stop().await;
}
