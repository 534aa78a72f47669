//! Settings, from wherever they come.

use serde_json::Value;

use crate::support::{darkroom, run, serve};

#[test]
fn settings_prints_the_table_of_the_documentation() {
    let (code, out, _) = run(&mut darkroom(&["settings"]));
    assert_eq!(code, Some(0));
    assert!(out.starts_with("| environment | file | flag | default | what |"));
    assert!(out.contains("`DARKROOM_ORIGIN_SECRETS`"));
    assert!(out.contains("| `DARKROOM_CONFIG` | – | `--config` |"));
}

#[test]
fn settings_are_told_to_programs_too() {
    let (code, out, error) = run(&mut darkroom(&["settings", "--json"]));
    assert_eq!(code, Some(0), "{error}");
    let answer: Value = serde_json::from_str(&out).expect("JSON");
    let items = answer["items"].as_array().expect("a list");
    let named = |name| items.iter().find(|item| item["environment"] == name);
    let listen = named("DARKROOM_LISTEN").expect("there");
    assert_eq!(listen["flag"], "--listen");
    assert_eq!(listen["default"], "127.0.0.1:8788");
    let secrets = named("DARKROOM_ORIGIN_SECRETS").expect("there");
    assert_eq!(
        (&secrets["flag"], &secrets["default"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn wrong_settings_are_told_all_at_once_before_anything_starts() {
    let mut command = darkroom(&["serve", "--listen", "here"]);
    command
        .env("DARKROOM_DEVICE", "abacus")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let (code, _, error) = run(&mut command);
    assert_eq!(code, Some(2));
    for part in [
        "4 settings are wrong",
        "OTEL_EXPORTER_OTLP_PROTOCOL is `grpc`",
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
fn an_empty_variable_is_none() {
    let mut command = darkroom(&["serve", "--listen", "here"]);
    let (code, _, error) = run(command.env("DARKROOM_CONFIG", ""));
    assert_eq!(code, Some(2));
    assert!(error.contains("DARKROOM_LISTEN"), "{error}");
}

/// The variables are `OpenTelemetry`'s own, and not settings.
#[test]
fn a_collector_that_cannot_be_spoken_to_is_told_before_anything_starts() {
    let folder = tempfile::tempdir().expect("folder");
    for (variable, value, expected) in [
        (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "grpc",
            "write `http/protobuf`",
        ),
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "no address",
            "no address",
        ),
    ] {
        let mut command = serve(folder.path());
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
        let (code, _, error) = run(command.env(variable, value));
        assert_eq!(code, Some(2), "{error}");
        assert!(
            error.contains(variable) && error.contains(expected),
            "{error}"
        );
    }
}
