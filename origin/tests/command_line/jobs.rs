//! `darkroom jobs`, and `darkroom migrate` before them.

use serde_json::{Value, json};

use crate::support::{Running, answer, darkroom, run, send, serve};

#[test]
fn migrate_makes_a_database_and_then_finds_nothing_to_do() {
    let folder = tempfile::tempdir().expect("folder");
    let (code, _, error) = run(darkroom(&["jobs", "list"]).env("DARKROOM_DATA_DIR", folder.path()));
    assert_eq!(code, Some(1));
    assert!(error.contains("darkroom migrate"), "{error}");
    let first = answer(folder.path(), "migrate");
    assert_eq!(first["before"], Value::Null);
    assert!(first["after"].as_i64() >= Some(6), "{first}");
    let second = answer(folder.path(), "migrate");
    assert_eq!(second["before"], first["after"]);
    assert_eq!(answer(folder.path(), "jobs list")["items"], json!([]));
}

/// Beside a service that runs, with which it shares nothing but the database.
#[test]
fn jobs_are_listed_shown_canceled_and_made_after_all() {
    let folder = tempfile::tempdir().expect("folder");
    let service = Running::start(serve(folder.path()));
    let ask = br#"{"prompt":"a secret","width":512,"height":512,"steps":150}"#;
    let accepted = send(&service.address, "POST", "/api/media/generate-image", ask);
    assert!(accepted.starts_with("HTTP/1.1 202"), "{accepted}");
    let job = service.logs("the job is taken up")["job"].clone();
    let id = job.as_str().expect("id");

    let list = answer(folder.path(), "jobs list --status running --account alice");
    assert_eq!(list["items"][0]["id"], job);
    assert_eq!(list["items"][0]["account"], "alice");
    let others = answer(folder.path(), "jobs list --account bob");
    assert_eq!(others["items"], json!([]));
    let mut table = darkroom(&["jobs", "list"]);
    let (_, table, _) = run(table.env("DARKROOM_DATA_DIR", folder.path()));
    assert!(table.contains(id) && !table.contains("secret"), "{table}");

    let canceled = answer(folder.path(), &format!("jobs cancel {id}"));
    assert_eq!(canceled["status"], "canceled");
    service.logs("the job was stopped");
    let mut again = darkroom(&["jobs", "cancel", id]);
    let (code, _, error) = run(again.env("DARKROOM_DATA_DIR", folder.path()));
    assert_eq!(code, Some(1));
    assert!(error.contains("is canceled"), "{error}");

    let retried = answer(folder.path(), &format!("jobs retry {id}"));
    assert_eq!(retried["status"], "queued");
    assert_eq!(service.logs("the job is taken up")["job"], job);
    let shown = answer(folder.path(), &format!("jobs show {id}"));
    assert_eq!(shown["status"], "running");
    assert_eq!(shown["finished_at"], Value::Null);
    assert_eq!(shown["recipe"]["prompt"], "a secret");
}
