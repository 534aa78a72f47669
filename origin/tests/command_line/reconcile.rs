//! `darkroom reconcile`

use serde_json::Value;

use crate::support::{Running, SECRETS, answer, darkroom, run, send, serve};

#[test]
fn reconcile_removes_what_no_image_has_and_nothing_else() {
    let folder = tempfile::tempdir().expect("folder");
    let running = Running::start(serve(folder.path()));
    let job = br#"{"prompt":"p","width":64,"height":64,"steps":1}"#;
    let accepted = send(&running.address, "POST", "/api/media/generate-image", job);
    assert!(accepted.starts_with("HTTP/1.1 20"), "{accepted}");
    running.logs("the job has succeeded");
    drop(running);
    let objects = folder.path().join("objects/generated");
    let orphan = objects.join("1-01234567-89ab-cdef-0123-456789abcdef.png");
    std::fs::write(&orphan, b"x").expect("written");
    let pictures = || std::fs::read_dir(&objects).expect("a folder").count();
    let before = pictures();
    let count = |command| {
        let mut command = darkroom(command);
        command
            .env("DARKROOM_DATA_DIR", folder.path())
            .env("DARKROOM_ORIGIN_SECRETS", SECRETS);
        let (code, out, err) = run(&mut command);
        assert_eq!(code, Some(0), "{err}");
        let report: Value = serde_json::from_str(&out).expect("JSON");
        ["unknown", "removed", "missing"].map(|name| report[name].as_u64().expect("a number"))
    };
    // What is young may belong to what is just being done.
    assert_eq!(count(&["reconcile", "--json", "--apply"]), [0, 0, 0]);
    let now = ["reconcile", "--json", "--grace", "0", "--apply"];
    assert_eq!(count(&now), [1, 1, 0]);
    assert!(!orphan.exists());
    assert_eq!(pictures(), before - 1);
    assert_eq!(count(&now), [0, 0, 0]);
    let job = &answer(folder.path(), "jobs list")["items"][0];
    assert_eq!(job["status"], "succeeded");
}

#[test]
fn reconcile_says_what_does_not_belong_and_removes_nothing_by_a_database_that_knows_none_of_it() {
    let folder = tempfile::tempdir().expect("folder");
    let objects = folder.path().join("objects/generated");
    std::fs::create_dir_all(&objects).expect("folder");
    let orphan = objects.join("1-01234567-89ab-cdef-0123-456789abcdef.png");
    std::fs::write(&orphan, b"x").expect("written");
    let data = folder.path().to_str().expect("path");
    let report = |more: &[&str]| {
        let mut command = darkroom(&["reconcile", "--json", "--data-dir", data]);
        command.args(more).env("DARKROOM_ORIGIN_SECRETS", SECRETS);
        let (code, out, err) = run(&mut command);
        assert_eq!(code, Some(0), "{err}");
        let report: Value = serde_json::from_str(&out).expect("JSON");
        (report["unknown"].clone(), report["removed"].clone())
    };
    let refused = |more: &[&str]| {
        let mut command = darkroom(&["reconcile", "--data-dir", data]);
        command.args(more).env("DARKROOM_ORIGIN_SECRETS", SECRETS);
        let (code, _, err) = run(&mut command);
        assert_eq!(code, Some(1), "{err}");
        err
    };
    // A database that is not there is none to compare with, and is not made.
    assert!(refused(&["--grace", "0", "--apply"]).contains("no database yet"));
    assert!(!folder.path().join("darkroom.db").exists());
    let (code, ..) = run(&mut darkroom(&["migrate", "--data-dir", data]));
    assert_eq!(code, Some(0));
    assert_eq!(report(&[]), (0.into(), 0.into()));
    assert_eq!(report(&["--grace", "0"]), (1.into(), 0.into()));
    // One that knows nothing of what is stored is not the store's.
    assert!(refused(&["--grace", "0", "--apply"]).contains("none of the 1 pictures"));
    assert!(orphan.exists());
}
