//! `darkroom doctor`

use serde_json::{Value, json};

use crate::support::{MODEL, SECRETS, darkroom, run};

#[test]
fn doctor_says_what_is_well_and_what_to_do_about_the_rest() {
    let folder = tempfile::tempdir().expect("folder");
    let doctor = |model: &str, secrets: &str| {
        let mut command = darkroom(&["doctor", "--json"]);
        command
            .env("DARKROOM_DATA_DIR", folder.path())
            .env("DARKROOM_MODEL", model)
            .env("DARKROOM_DEVICE", "cpu")
            .env("DARKROOM_ORIGIN_SECRETS", secrets);
        let (code, out, error) = run(&mut command);
        (
            code,
            serde_json::from_str::<Value>(&out).expect("JSON"),
            error,
        )
    };
    let (code, well, error) = doctor(MODEL, SECRETS);
    assert_eq!(
        (code, &well["ok"]),
        (Some(0), &json!(true)),
        "{well} {error}"
    );
    let names: Vec<_> = well["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .map(|check| check["name"].as_str().expect("name"))
        .collect();
    assert_eq!(
        names,
        [
            "settings",
            "data folder",
            "disk",
            "model",
            "device",
            "database",
            "store"
        ]
    );
    // What it tried the store with is gone.
    let left = std::fs::read_dir(folder.path().join("objects/private/generated"));
    assert_eq!(left.expect("folder").count(), 0);

    let (code, ill, error) = doctor("/nowhere", SECRETS);
    assert_eq!(code, Some(1));
    assert!(error.contains("1 of 7 checks failed"), "{error}");
    let detail = ill["checks"][3]["detail"].as_str().expect("detail");
    assert!(detail.contains("DARKROOM_MODEL"), "{detail}");

    let (code, unset, _) = doctor(MODEL, "");
    assert_eq!((code, &unset["ok"]), (Some(1), &json!(false)));
    let detail = unset["checks"][0]["detail"].as_str().expect("detail");
    assert!(detail.contains("DARKROOM_ORIGIN_SECRETS"), "{detail}");
}
