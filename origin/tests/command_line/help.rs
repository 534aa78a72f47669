//! What the command says of itself.

use crate::support::{darkroom, run};

/// What every command says of itself. A change here is a change for users: `cargo insta accept`, or
/// `INSTA_UPDATE=always cargo test --test command_line`, takes it over.
#[test]
fn help_says_what_there_is() {
    for command in [
        "",
        "bench",
        "completions",
        "doctor",
        "generate",
        "jobs",
        "jobs list",
        "jobs retry",
        "migrate",
        "models",
        "verify",
    ] {
        let args: Vec<_> = command.split_whitespace().chain(["--help"]).collect();
        let (code, out, error) = run(&mut darkroom(&args));
        assert_eq!(code, Some(0), "{error}");
        let name = format!("help {command}").trim_end().replace(' ', "-");
        insta::assert_snapshot!(name, out);
    }
}

#[test]
fn completions_are_written_for_each_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, error) = run(&mut darkroom(&["completions", shell]));
        assert_eq!(code, Some(0), "{error}");
        assert!(out.contains("doctor"), "{out}");
    }
}

/// `scripts/openapi` takes a change over.
#[test]
fn openapi_is_the_file_that_the_edge_serves() {
    let (code, out, error) = run(&mut darkroom(&["openapi"]));
    assert_eq!(code, Some(0), "{error}");
    let served = include_str!("../../../edge/ui/openapi.json");
    assert!(
        out == served,
        "edge/ui/openapi.json is stale: run scripts/openapi"
    );
}
