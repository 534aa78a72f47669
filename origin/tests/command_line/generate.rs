//! `darkroom generate`, and `darkroom verify` of what it makes.

use serde_json::{Value, json};

use crate::support::{MODEL, darkroom, run};

#[test]
fn wrong_values_of_generate_are_told_all_at_once() {
    let args = [
        "generate", "p", "-o", "p.png", "--steps", "0", "--width", "65",
    ];
    let (code, _, error) = run(&mut darkroom(&args));
    assert_eq!(code, Some(2));
    assert!(error.contains("--steps must be a whole number from 1 to 150, not 0"));
    assert!(error.contains("--width must be a multiple of 8, not 65"));
    let (code, _, error) = run(&mut darkroom(&["generate", "p", "-o", "p.gif"]));
    assert_eq!(code, Some(2));
    assert!(
        error.contains("must end in one of: png, webp, jpg"),
        "{error}"
    );
    let args = ["generate", "p", "-o", "p.png", "--model", "/nowhere"];
    let (code, _, error) = run(&mut darkroom(&args));
    assert_eq!(code, Some(2));
    assert!(error.contains("--model"), "{error}");
    // Nothing is loaded or computed for a picture that has nowhere to go.
    for output in ["/nowhere/p.png", "/proc/p.png"] {
        let args = ["generate", "p", "--model", "/nowhere", "-o", output];
        let (code, _, error) = run(&mut darkroom(&args));
        assert_eq!(code, Some(2));
        assert!(
            error.contains(&format!("`{output}` cannot be written")),
            "{error}"
        );
    }
}

#[test]
fn generate_makes_the_same_file_of_the_same_seed() {
    let folder = tempfile::tempdir().expect("folder");
    let make = |name: &str| {
        let path = folder.path().join(name);
        let mut command = darkroom(&["generate", "a red circle", "--seed", "7", "--steps", "2"]);
        command
            .args(["--device", "cpu", "--model", MODEL, "-o"])
            .arg(&path);
        let (code, out, error) = run(&mut command);
        assert_eq!(code, Some(0), "{error}");
        assert!(out.contains("seed 7"), "{out}");
        std::fs::read(path).expect("picture")
    };
    let first = make("first.png");
    assert!(first.starts_with(b"\x89PNG"));
    assert_eq!(first, make("second.png"));
    assert!(make("third.jpg").starts_with(b"\xff\xd8"));

    let verify = |name: &str| {
        let mut command = darkroom(&["verify", "--rerun", "--json", "--device", "cpu"]);
        command
            .args(["--model", MODEL])
            .arg(folder.path().join(name));
        let (code, out, error) = run(&mut command);
        let answer: Value = serde_json::from_str(&out).expect("JSON");
        (code, answer, error)
    };
    for name in ["first.png", "third.jpg"] {
        let (code, answer, error) = verify(name);
        assert_eq!(code, Some(0), "{error}");
        assert_eq!(answer["marked"], true);
        assert_eq!(answer["same"], true);
        assert_eq!(answer["recipe"]["seed"], 7);
    }
    // The last bytes are pixels, of a JPEG.
    let path = folder.path().join("third.jpg");
    let mut changed = std::fs::read(&path).expect("picture");
    let place = changed.len() - 10;
    changed[place] ^= 1;
    std::fs::write(&path, changed).expect("written");
    let (code, answer, error) = verify("third.jpg");
    assert_eq!((code, &answer["same"]), (Some(1), &json!(false)), "{error}");
}
