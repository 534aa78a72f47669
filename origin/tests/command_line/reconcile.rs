//! `darkroom reconcile`

use serde_json::Value;

use crate::support::{SECRETS, darkroom, run};

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
