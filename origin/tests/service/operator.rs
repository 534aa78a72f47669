//! What the operator sees of jobs, and does to them, beside a service that runs.

use darkroom_origin::addresses::Addresses;
use darkroom_origin::clock;
use darkroom_origin::database::{Changed, Database, JobFilter, SchemaVersion};
use darkroom_shared::job::Status;
use serde_json::json;

use crate::support::call::Call;
use crate::support::databases::address;
use crate::support::engine::StubEngine;
use crate::support::receiver::Receiver;
use crate::support::{Origin, Setup};

/// An origin over a folder, and its database as the command line opens it.
async fn both(engine: StubEngine) -> (tempfile::TempDir, Origin, Database) {
    let folder = tempfile::tempdir().expect("folder");
    let setup = Setup {
        engine,
        ..Setup::default()
    };
    let origin = Origin::start_in(folder.path(), setup).await;
    let address = address(folder.path()).await;
    let database = Database::open(&address).await.expect("opened");
    (folder, origin, database)
}

#[tokio::test]
async fn the_jobs_of_all_accounts_are_listed_page_by_page() {
    let (_folder, origin, database) = both(StubEngine::default()).await;
    let mut ids = Vec::new();
    for caller in ["alice", "bob", "alice"] {
        let call = Call::generate(&json!({ "prompt": "p" })).by(caller);
        let answer = origin.call(call).await.json().await;
        ids.push(answer["job"]["id"].as_str().expect("id").to_owned());
    }
    ids.reverse();
    let list = async |filter: JobFilter, limit| {
        let page = database.all_jobs(&filter, limit).await.expect("listed");
        let items: Vec<_> = page.items.into_iter().map(|item| item.job.id).collect();
        (items, page.next_cursor)
    };
    let (first, cursor) = list(JobFilter::default(), 2).await;
    assert_eq!((first, &cursor), (ids[..2].to_vec(), &Some(ids[1].clone())));
    let rest = JobFilter {
        before: cursor,
        ..JobFilter::default()
    };
    assert_eq!(list(rest, 2).await, (ids[2..].to_vec(), None));
    let bobs = JobFilter {
        account: Some("bob".into()),
        status: Some(Status::Succeeded),
        ..JobFilter::default()
    };
    assert_eq!(list(bobs, 2).await, (vec![ids[1].clone()], None));

    let edge = Addresses::edge("http://edge.test");
    let shown = database.any_job(&ids[1], &edge).await.expect("read");
    let shown = shown.expect("there");
    assert_eq!((&*shown.account, shown.attempts), ("bob", 1));
    assert_eq!(shown.job.images.len(), 1);
    assert!(
        database
            .any_job("none", &edge)
            .await
            .expect("read")
            .is_none()
    );
    database.close().await;
    origin.stop().await;
}

#[tokio::test]
async fn a_job_that_was_canceled_is_made_after_all_when_it_is_retried() {
    let (engine, gate) = StubEngine::gated();
    let (_folder, origin, database) = both(engine).await;
    let id = origin.submit(&json!({ "prompt": "p" })).await;
    let busy = database.retry_any(&id, clock::now()).await.expect("asked");
    assert!(matches!(busy, Changed::Status(_)), "{busy:?}");
    let cancel = async || database.cancel_any(&id, clock::now()).await.expect("asked");
    assert_eq!(cancel().await, Changed::Done);
    assert_eq!(cancel().await, Changed::Status(Status::Canceled));
    gate.open();
    assert_eq!(origin.finished(&id).await["status"], "canceled");

    let retried = database.retry_any(&id, clock::now()).await.expect("asked");
    assert_eq!(retried, Changed::Done);
    let events = origin.events(&id).await.rest().await;
    assert_eq!(events.last().expect("an end").name, "succeeded");
    let job = origin.job(&id).await;
    assert_eq!(
        (&job["status"], &job["error"]),
        (&json!("succeeded"), &json!(null))
    );
    let none = database.cancel_any("none", clock::now()).await;
    assert_eq!(none.expect("asked"), Changed::Unknown);
    database.close().await;
    origin.stop().await;
}

#[tokio::test]
async fn a_job_that_missed_its_deadline_is_made_after_all_when_it_is_retried() {
    let (engine, gate) = StubEngine::gated();
    let (_folder, origin, database) = both(engine).await;
    let late = Call::generate(&json!({ "prompt": "p" })).header("darkroom-deadline", "1");
    let problem = origin.call(late).await.problem("deadline_missed").await;
    let id = problem["job"]["id"].as_str().expect("id").to_owned();
    let retried = database.retry_any(&id, clock::now()).await.expect("asked");
    assert_eq!(retried, Changed::Done);
    let overdue = database.end_overdue(clock::now()).await.expect("looked");
    assert!(overdue.is_empty());
    gate.open();
    assert_eq!(origin.finished(&id).await["status"], "succeeded");
    database.close().await;
    origin.stop().await;
}

#[tokio::test]
async fn the_end_of_a_job_that_was_retried_is_told_too() {
    let (engine, gate) = StubEngine::gated();
    let (_folder, origin, database) = both(engine).await;
    let receiver = Receiver::start().await;
    let told = json!({ "prompt": "p", "webhook_url": receiver.url() });
    let id = origin.submit(&told).await;
    database.cancel_any(&id, clock::now()).await.expect("asked");
    receiver.times(1).await;
    gate.open();
    database.retry_any(&id, clock::now()).await.expect("asked");
    assert_eq!(origin.finished(&id).await["status"], "succeeded");
    let asked = receiver.times(2).await;
    let types = asked.iter().map(|asked| asked.json()["type"].clone());
    let types: Vec<_> = types.collect();
    assert_eq!(types, ["job.canceled", "job.succeeded"]);
    // Who drops what comes twice must not take it for that.
    assert_ne!(asked[0].header("webhook-id"), asked[1].header("webhook-id"));
    database.close().await;
    origin.stop().await;
}

#[tokio::test]
async fn a_database_tells_its_version_without_being_changed() {
    let folder = tempfile::tempdir().expect("folder");
    let address = address(folder.path()).await;
    let before = SchemaVersion::read(&address).await.expect("read");
    assert_eq!(before.found, None);
    assert_eq!(SchemaVersion::read(&address).await.expect("read"), before);
    let database = Database::open(&address).await.expect("opened");
    database.close().await;
    let after = SchemaVersion::read(&address).await.expect("read");
    assert_eq!(after.found, Some(after.wanted));
    assert_eq!(after.wanted, before.wanted);
}
