//! `darkroom verify` of signed files.

use std::fs;
use std::path::{Path, PathBuf};

use darkroom_credentials::Signer;
use darkroom_origin::encode::{SIGNED, encode};
use darkroom_origin::engine::Picture;
use darkroom_origin::provenance;
use serde_json::Value;

use crate::support::{MODEL, darkroom, run};

fn certificate(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("credentials/certificates");
    folder.join(name)
}

fn made(path: &Path) {
    let mut command = darkroom(&["generate", "a red circle", "--seed", "7", "--steps", "1"]);
    let command = command.args(["--device", "cpu", "--model", MODEL, "-o"]);
    let (code, _, error) = run(command.arg(path));
    assert_eq!(code, Some(0), "{error}");
}

/// The same picture as a service that signs makes it.
fn signed(file: &[u8]) -> Vec<u8> {
    let read = provenance::read(file).expect("read");
    let mut recipe = read.recipe.expect("a recipe");
    recipe.engine.push_str(SIGNED);
    let pixels = image::load_from_memory(file)
        .expect("a picture")
        .into_rgb8();
    let picture = Picture {
        width: pixels.width(),
        height: pixels.height(),
        rgb: pixels.into_raw(),
    };
    let text = |name| fs::read_to_string(certificate(name)).expect("a file");
    let signer = Signer::from_pem(&text("es256.pem"), &text("es256.key").into());
    let file = encode(&picture, &recipe).expect("encoded");
    provenance::sign(file, &recipe, Some(&signer.expect("a signer"))).expect("signed")
}

/// The answer to `verify --json` with these options more.
fn verify(path: &Path, options: &[&str]) -> (Option<i32>, Value, String) {
    let mut command = darkroom(&["verify", "--json"]);
    let (code, out, error) = run(command.args(options).arg(path));
    let answer = serde_json::from_str(&out).unwrap_or_default();
    (code, answer, error)
}

#[test]
fn verify_tells_whose_signature_a_file_has_and_what_became_of_it() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("fox.png");
    made(&path);
    let (code, answer, error) = verify(&path, &[]);
    assert_eq!(
        (code, &answer["credentials"]),
        (Some(0), &Value::Null),
        "{error}"
    );

    let file = signed(&fs::read(&path).expect("a picture"));
    fs::write(&path, &file).expect("written");
    let again = ["--rerun", "--device", "cpu", "--model", MODEL];
    let (code, answer, error) = verify(&path, &again);
    assert_eq!(code, Some(0), "{error}");
    assert_eq!(
        (&answer["marked"], &answer["same"]),
        (&true.into(), &true.into())
    );
    assert_eq!(answer["credentials"]["standing"], "valid");
    assert_eq!(answer["credentials"]["is_by_model"], true);

    let trust = |name: &str| {
        let anchors = certificate(name);
        verify(&path, &["--trust", anchors.to_str().expect("a path")])
    };
    let (code, answer, error) = trust("anchor.pem");
    assert_eq!(code, Some(0), "{error}");
    assert_eq!(answer["credentials"]["standing"], "trusted");
    let (code, answer, error) = trust("ed25519.pem");
    assert_eq!(
        (code, &answer["credentials"]["standing"]),
        (Some(1), &"valid".into())
    );
    assert!(error.contains("nobody whom --trust names"), "{error}");
    for unreadable in ["none.pem", "es256.key"] {
        let (code, _, error) = trust(unreadable);
        assert_eq!(code, Some(2), "{error}");
        assert!(error.contains("--trust"), "{error}");
    }

    // The last bytes before the end's twelve are pixels, and their checksum.
    let mut changed = file;
    let place = changed.len() - 20;
    changed[place] ^= 1;
    fs::write(&path, changed).expect("written");
    let (code, answer, error) = verify(&path, &[]);
    assert_eq!(
        (code, &answer["credentials"]["standing"]),
        (Some(1), &"broken".into())
    );
    assert!(error.contains("are broken"), "{error}");
    let (_, text, _) = run(darkroom(&["verify"]).arg(&path));
    assert!(text.contains("assertion.dataHash.mismatch"), "{text}");
}
