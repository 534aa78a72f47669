//! Two origins over one database, each with a folder of its own.

use std::path::Path;
use std::sync::Arc;

use axum::http::StatusCode;
use darkroom_origin::database::{Database, Notice};
use darkroom_shared::job::Status;
use serde_json::json;
use tempfile::TempDir;

use crate::support::call::Call;
use crate::support::engine::{Gate, StubEngine};
use crate::support::{LIMIT, Origin, Setup, database, databases, on_postgres, until};

/// Two origins, each with its gate.
struct Two {
    a: Origin,
    b: Origin,
    gates: [Arc<Gate>; 2],
    /// Whose database it is.
    folder: TempDir,
}

impl Two {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let (a, first) = gated(folder.path());
        let (b, second) = gated(folder.path());
        Self {
            a: Origin::start(a).await,
            b: Origin::start(b).await,
            gates: [first, second],
            folder,
        }
    }

    /// A job that one of them makes, and which.
    async fn running(&self) -> (String, usize) {
        let id = self.a.submit(&json!({ "prompt": "p", "steps": 100 })).await;
        for gate in &self.gates {
            gate.allow(1);
        }
        self.b.events(&id).await.until_step(1).await;
        let maker = usize::from(self.gates[0].done() == 0);
        (id, maker)
    }
}

fn gated(folder: &Path) -> (Setup, Arc<Gate>) {
    let (engine, gate) = StubEngine::gated();
    let setup = Setup {
        engine,
        shares: Some(folder.to_owned()),
        ..Setup::default()
    };
    (setup, gate)
}

#[tokio::test]
async fn a_request_is_no_good_at_the_other_origin_once_it_was_taken() {
    let two = Two::start().await;
    let first = Call::get("/api/jobs").signed();
    let mut second = Call::get("/api/jobs").unsigned();
    second.headers_mut().clone_from(first.headers());
    assert_eq!(two.a.send(first).await.status, StatusCode::OK);
    assert_eq!(two.b.send(second).await.status, StatusCode::UNAUTHORIZED);
    two.a.stop().await;
    two.b.stop().await;
}

/// What saves those on other machines from asking; where nobody shares the database, nobody tells.
#[tokio::test]
async fn what_happens_to_a_job_is_told_to_all_who_listen() {
    let folder = tempfile::tempdir().expect("folder");
    let database = Database::open(&databases::address(folder.path()).await).await;
    let database = database.expect("opened");
    let notices = database.listen().await.expect("listening");
    assert_eq!(notices.is_some(), on_postgres());
    if let Some(mut notices) = notices {
        let (setup, gate) = gated(folder.path());
        let origin = Origin::start(setup).await;
        let id = origin.submit(&json!({ "prompt": "p", "steps": 1 })).await;
        gate.open();
        let notice = |status| Notice {
            job: id.clone(),
            status,
        };
        let all = [Some(Status::Queued), None, Some(Status::Succeeded)].map(notice);
        let mut heard = Vec::new();
        while heard.last() != all.last() {
            let next = tokio::time::timeout(LIMIT, notices.next()).await;
            heard.push(next.expect("in time").expect("heard"));
        }
        heard.dedup();
        assert_eq!(heard, all);
        origin.stop().await;
    }
    database.close().await;
}

#[tokio::test]
async fn whoever_makes_a_job_both_tell_of_it() {
    let two = Two::start().await;
    let mut jobs = Vec::new();
    for origin in [&two.a, &two.b, &two.a, &two.b] {
        jobs.push(origin.submit(&json!({ "prompt": "p" })).await);
    }
    // Both have a job in hand: neither was idle.
    for gate in &two.gates {
        gate.allow(1);
        until(async || gate.done() == 1).await;
    }
    for gate in &two.gates {
        gate.open();
    }
    for id in &jobs {
        for origin in [&two.a, &two.b] {
            assert_eq!(origin.finished(id).await["status"], "succeeded");
        }
        let events = two.b.events(id).await.rest().await;
        let queued = events.iter().filter(|event| event.name == "queued");
        assert_eq!(queued.count(), 1);
    }
    assert_eq!(two.gates[0].done() + two.gates[1].done(), 16);
    two.a.stop().await;
    two.b.stop().await;
}

#[tokio::test]
async fn a_cancel_at_one_origin_stops_the_others_engine_within_a_step() {
    let two = Two::start().await;
    let (id, maker) = two.running().await;
    let other = [&two.b, &two.a][maker];
    let answer = other.call(Call::delete(&format!("/api/jobs/{id}"))).await;
    assert_eq!(answer.json().await["status"], "canceled");

    // Told of it, the maker ends with the step that it is at, and is free for other jobs.
    let (gate, idle) = (&two.gates[maker], &two.gates[1 - maker]);
    let held = other.submit(&json!({ "prompt": "q" })).await;
    other.events(&held).await.until_step(1).await;
    let next = other.submit(&json!({ "prompt": "p", "steps": 1 })).await;
    until(async || {
        gate.allow(1);
        other.job(&next).await["status"] == "succeeded"
    })
    .await;
    assert!(gate.done() < 100, "{}", gate.done());
    idle.open();
    two.a.stop().await;
    two.b.stop().await;
}

#[tokio::test]
async fn what_a_dead_origin_was_making_is_made_by_the_other() {
    let Two {
        a,
        b,
        gates,
        folder,
    } = Two::start().await;
    let id = a.submit(&json!({ "prompt": "p" })).await;
    for gate in &gates {
        gate.allow(1);
    }
    b.events(&id).await.until_step(1).await;
    let (dead, alive, maker) = match gates[0].done() {
        1 => (a, b, 0),
        _ => (b, a, 1),
    };
    drop(dead);
    // As if its lease had run out by now.
    sqlx::query("UPDATE jobs SET lease_until = 1")
        .execute(&mut database(folder.path()).await)
        .await
        .expect("updated");
    gates[1 - maker].open();
    assert_eq!(alive.finished(&id).await["status"], "succeeded");
    assert_eq!(gates[1 - maker].done(), 4);
    gates[maker].open();
    alive.stop().await;
}

#[tokio::test]
async fn a_server_that_throws_everybody_out_costs_no_job() {
    if !on_postgres() {
        return;
    }
    let two = Two::start().await;
    let (id, maker) = two.running().await;
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .execute(&mut database(two.folder.path()).await)
    .await
    .expect("thrown out");
    two.gates[maker].open();
    for origin in [&two.a, &two.b] {
        until(async || {
            let answer = origin.call(Call::get(&format!("/api/jobs/{id}"))).await;
            answer.status == StatusCode::OK && answer.json().await["status"] == "succeeded"
        })
        .await;
    }
    let events = two.b.events(&id).await.rest().await;
    let queued = events.iter().filter(|event| event.name == "queued");
    assert_eq!(queued.count(), 1, "nobody else took it up");
    two.a.stop().await;
    two.b.stop().await;
}
