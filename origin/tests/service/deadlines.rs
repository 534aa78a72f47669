//! Jobs that are not done by their deadlines.

use axum::http::StatusCode;
use darkroom_origin::database::NewJob;
use darkroom_shared::job::Status;
use serde_json::json;

use crate::leases::{Shared, claim, job};
use crate::support::Origin;
use crate::support::call::Call;
use crate::support::engine::StubEngine;
use crate::support::receiver::Receiver;

#[tokio::test]
async fn only_jobs_that_have_not_ended_by_their_deadlines_fail() {
    let shared = Shared::open().await;
    let mut ids = Vec::new();
    for deadline in [Some(100), Some(100), Some(101), None] {
        let job = NewJob { deadline, ..job(1) };
        shared.a.accept(&job, 100).await.expect("accepted");
        ids.push(job.id.to_string());
    }
    let running = claim(&shared.a, "a", 1).await.expect("a job");
    assert_eq!(running.lease.job, ids[0]);
    assert!(shared.b.end_overdue(99).await.expect("looked").is_empty());
    let mut ended = shared.b.end_overdue(100).await.expect("looked");
    ended.sort_by_key(|id| ids.iter().position(|other| other == id));
    assert_eq!(ended, ids[..2]);
    assert!(!shared.a.holds(&running.lease).await.expect("asked"));
    for (id, status) in ids.iter().zip([
        Status::Failed,
        Status::Failed,
        Status::Queued,
        Status::Queued,
    ]) {
        let found = shared.a.status("alice", id).await.expect("read");
        assert_eq!(found, Some(status));
    }
    assert!(shared.b.end_overdue(100).await.expect("looked").is_empty());
    shared.close().await;
}

#[tokio::test]
async fn a_call_that_is_sent_twice_is_not_refused_for_the_deadline_of_its_own_job() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine).await;
    let receiver = Receiver::start().await;
    let mut call = Call::generate(&json!({
        "prompt": "p", "steps": 150, "n": 10, "webhook_url": receiver.url()
    }))
    .header("prefer", "respond-async")
    .header("darkroom-deadline", "2");
    call.query = format!("job={}", uuid::Uuid::new_v4());
    let first = origin.call(call.clone()).await.json().await;
    let id = first["job"]["id"].as_str().expect("id");
    // Nothing but a measured step tells that it takes longer.
    gate.allow(1);
    origin.events(id).await.until_step(1).await;
    let again = origin.call(call).await.json().await;
    assert_eq!(again["job"]["id"], id);
    gate.open();
    origin.finished(id).await;
    origin.stop().await;
}

#[tokio::test]
async fn a_job_that_comes_too_late_ends_within_a_step_and_says_why() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine).await;
    let late =
        || Call::generate(&json!({ "prompt": "p", "steps": 100 })).header("darkroom-deadline", "1");
    // The first is being made, the second waits; no step was measured yet to refuse either by.
    let (first, second) = tokio::join!(origin.call(late()), origin.call(late()));
    for answer in [first, second] {
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.header("retry-after"), "10");
        let problem = answer.problem("deadline_missed").await;
        assert_eq!(problem["job"]["status"], "failed");
        assert_eq!(problem["job"]["error"]["code"], "deadline_missed");
    }
    // The step that was being computed ends, and the next job's turn comes.
    gate.allow(2);
    let next = origin.submit(&json!({ "prompt": "p", "steps": 1 })).await;
    assert_eq!(origin.finished(&next).await["status"], "succeeded");
    assert_eq!(gate.done(), 2);
    origin.stop().await;
}
