//! The `darkroom` command, run as a user runs it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo-model");

/// The command with none of the caller's own settings.
fn darkroom(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_darkroom"));
    command.args(args);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["DARKROOM_", "AWS_", "DATABASE_URL", "RUST_LOG"]
            .iter()
            .any(|ours| text.starts_with(ours))
        {
            command.env_remove(&name);
        }
    }
    command
}

fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("started");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn settings_prints_the_table_of_the_documentation() {
    let (code, out, _) = run(&mut darkroom(&["settings"]));
    assert_eq!(code, Some(0));
    assert!(out.starts_with("| environment | file | flag | default | what |"));
    assert!(out.contains("`DARKROOM_ORIGIN_SECRETS`"));
}

#[test]
fn wrong_settings_are_told_all_at_once_before_anything_starts() {
    let mut command = darkroom(&["serve", "--listen", "here"]);
    command.env("DARKROOM_DEVICE", "abacus");
    let (code, _, error) = run(&mut command);
    assert_eq!(code, Some(2));
    for part in [
        "3 settings are wrong",
        "DARKROOM_LISTEN (flag) is `here`",
        "DARKROOM_DEVICE (environment) is `abacus`",
        "DARKROOM_ORIGIN_SECRETS is not set",
    ] {
        assert!(error.contains(part), "{part} in {error}");
    }
}

#[test]
fn a_configuration_file_with_a_slip_is_told() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("darkroom.toml");
    std::fs::write(&file, "lisen = \"127.0.0.1:0\"\n").expect("written");
    let mut command = darkroom(&["serve", "--config"]);
    let (code, _, error) = run(command.arg(&file));
    assert_eq!(code, Some(2));
    assert!(error.contains("`lisen` is no setting"), "{error}");
}

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
}

/// Starts the service over a folder, waits until it is ready, tells it to end, and returns
/// its exit code.
#[cfg(unix)]
#[test]
fn serve_gets_ready_and_ends_when_told() {
    let folder = tempfile::tempdir().expect("folder");
    let mut command = serve(folder.path());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("started");
    let log = BufReader::new(child.stderr.take().expect("log"));
    let mut lines = log.lines().map(|line| line.expect("line"));
    let ready = lines.find(|line| line.contains("the engine is ready"));
    let ready: serde_json::Value =
        serde_json::from_str(&ready.expect("ready")).expect("a JSON line");
    assert_eq!(ready["level"], "INFO");

    let second = run(&mut serve(folder.path()));
    assert_eq!(second.0, Some(1));
    assert!(second.2.contains("another darkroom serves"), "{}", second.2);

    let told = Command::new("kill").arg(child.id().to_string()).status();
    assert!(told.expect("kill").success());
    let drained = lines.any(|line| line.contains("the service has drained"));
    assert_eq!(child.wait().expect("ended").code(), Some(0));
    assert!(drained);
}

#[test]
fn serve_ends_where_the_model_cannot_be_loaded() {
    let folder = tempfile::tempdir().expect("folder");
    let mut command = serve(folder.path());
    let (code, _, error) = run(command.args(["--model", "/nowhere"]));
    assert_eq!(code, Some(1));
    assert!(error.contains("/nowhere"), "{error}");
}

fn serve(folder: &Path) -> Command {
    let mut command = darkroom(&["serve", "--listen", "127.0.0.1:0", "--device", "cpu"]);
    command
        .env("DARKROOM_MODEL", MODEL)
        .env(
            "DARKROOM_ORIGIN_SECRETS",
            "a:0123456789abcdef0123456789abcdef",
        )
        .env("DARKROOM_DATA_DIR", folder);
    command
}
