//! A database that is locked, damaged, or gone for a while.

use axum::http::StatusCode;
use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::support::call::Call;
use crate::support::engine::StubEngine;
use crate::support::{Origin, Setup, database, on_postgres, until};

/// `PostgreSQL` has no such lock.
#[tokio::test]
async fn while_another_holds_the_lock_reads_are_answered_and_readiness_says_no() {
    let folder = tempfile::tempdir().expect("folder");
    if on_postgres() {
        return;
    }
    let origin = Origin::start_in(folder.path(), Setup::default()).await;
    let mut other = database(folder.path()).await;
    let lock = other.begin_with("BEGIN IMMEDIATE").await.expect("locked");

    let answer = origin.call(Call::get("/api/jobs")).await;
    assert_eq!(answer.status, StatusCode::OK);
    let ready = origin.send(Call::get("/readyz").unsigned()).await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready.json().await["database"], "unreachable");

    lock.rollback().await.expect("unlocked");
    let ready = origin.send(Call::get("/readyz").unsigned()).await;
    assert_eq!(ready.status, StatusCode::OK);
    origin.stop().await;
}

#[tokio::test]
async fn a_job_that_cannot_be_read_keeps_no_other_from_being_made_or_listed() {
    let folder = tempfile::tempdir().expect("folder");
    let (engine, gate) = StubEngine::gated();
    let setup = Setup {
        engine,
        ..Setup::default()
    };
    let origin = Origin::start_in(folder.path(), setup).await;
    let mut jobs = Vec::new();
    for _ in 0..4 {
        jobs.push(origin.submit(&json!({ "prompt": "p" })).await);
    }
    let [first, damaged, unwanted, last] = &jobs[..] else {
        panic!("four jobs")
    };
    gate.allow(1);
    origin.events(first).await.until_step(1).await;
    let mut rows = database(folder.path()).await;
    for id in [damaged, unwanted] {
        sqlx::query("UPDATE jobs SET recipe = '{}' WHERE id = $1")
            .bind(id)
            .execute(&mut rows)
            .await
            .expect("damaged");
    }
    // It is canceled, although it cannot be shown.
    let path = format!("/api/jobs/{unwanted}");
    let answer = origin.call(Call::delete(&path)).await;
    answer.problem("internal_error").await;

    gate.open();
    // Pictures are stored beside the engine, in whatever order.
    for id in [first, last] {
        assert_eq!(origin.finished(id).await["status"], "succeeded");
    }
    let mut listed = Vec::new();
    let mut cursor = String::new();
    loop {
        let uri = format!("/api/jobs?limit=1{cursor}");
        let page = origin.call(Call::get(&uri)).await.json().await;
        listed.extend(page["items"].as_array().expect("items").clone());
        match &page["next_cursor"] {
            Value::String(next) => cursor = format!("&cursor={next}"),
            _ => break,
        }
    }
    let listed: Vec<_> = listed.iter().map(|job| job["id"].as_str()).collect();
    assert_eq!(listed, [Some(last.as_str()), Some(first.as_str())]);
    let statuses: Vec<String> = sqlx::query_scalar("SELECT status FROM jobs ORDER BY sequence")
        .fetch_all(&mut rows)
        .await
        .expect("rows");
    assert_eq!(statuses, ["succeeded", "failed", "canceled", "succeeded"]);
    origin.stop().await;
}

#[tokio::test]
async fn a_caller_whose_job_was_accepted_is_not_told_to_try_again() {
    let folder = tempfile::tempdir().expect("folder");
    let (engine, gate) = StubEngine::gated();
    let setup = Setup {
        engine,
        ..Setup::default()
    };
    let origin = Origin::start_in(folder.path(), setup).await;
    let mut rows = database(folder.path()).await;
    let breaks = async {
        until(async || {
            let jobs = origin.call(Call::get("/api/jobs")).await.json().await;
            jobs["items"] != json!([])
        })
        .await;
        sqlx::query("ALTER TABLE jobs RENAME TO lost")
            .execute(&mut rows)
            .await
            .expect("renamed");
        origin.service.begin_draining();
    };
    let call = Call::generate(&json!({ "prompt": "p", "task_id": "mine", "n": 2 }));
    let (answer, ()) = tokio::join!(origin.call(call), breaks);
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let location = answer.header("location").to_owned();
    let job = &answer.json().await["job"];
    assert_eq!(
        location,
        format!("/api/jobs/{}", job["id"].as_str().expect("id"))
    );
    // It may have been taken up when it was last read.
    let status = job["status"].as_str().expect("a status");
    assert!(["queued", "running"].contains(&status), "{status}");
    assert_eq!(job["task_id"], "mine");
    assert_eq!(job["progress"], json!({ "step": 0, "steps": 8 }));

    sqlx::query("ALTER TABLE lost RENAME TO jobs")
        .execute(&mut rows)
        .await
        .expect("renamed");
    gate.open();
    origin.stop().await;
}

#[tokio::test]
async fn a_job_whose_pictures_are_all_stored_has_succeeded() {
    let folder = tempfile::tempdir().expect("folder");
    let (engine, gate) = StubEngine::gated();
    let setup = Setup {
        engine,
        ..Setup::default()
    };
    let dead = Origin::start_in(folder.path(), setup).await;
    let id = dead.submit(&json!({ "prompt": "p" })).await;
    gate.allow(1);
    dead.events(&id).await.until_step(1).await;
    drop(dead);
    let mut rows = database(folder.path()).await;
    sqlx::query("UPDATE images SET stored_at = 1, bytes = 1, sha256 = 'x'")
        .execute(&mut rows)
        .await
        .expect("stored");

    let (idle, closed) = StubEngine::gated();
    let setup = Setup {
        engine: idle,
        ..Setup::default()
    };
    let next = Origin::start_in(folder.path(), setup).await;
    let job = next.finished(&id).await;
    assert_eq!(job["status"], "succeeded");
    assert_eq!(job["progress"], json!({ "step": 4, "steps": 4 }));
    assert_eq!(closed.done(), 0);
    gate.open();
    next.stop().await;
}
