//! `darkroom reconcile`

use serde_json::Value;

use crate::support::{SECRETS, darkroom, run};

#[test]
fn reconcile_says_what_does_not_belong_and_removes_it_where_told_to() {
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
    assert_eq!(report(&[]), (0.into(), 0.into()));
    assert_eq!(report(&["--grace", "0"]), (1.into(), 0.into()));
    assert!(orphan.exists());
    assert_eq!(report(&["--grace", "0", "--apply"]), (1.into(), 1.into()));
    assert!(!orphan.exists());
}
