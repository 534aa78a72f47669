//! `darkroom bench`

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{MODEL, darkroom, run};

/// The command on the small model, and small pictures.
fn bench(args: &[&str]) -> Command {
    let mut command = darkroom(&["bench", "--width", "64", "--height", "64", "--steps", "2"]);
    command
        .args(["--device", "cpu", "--model", MODEL, "--warm-up", "0"])
        .args(args);
    command
}

#[test]
fn bench_says_how_long_each_stage_takes() {
    let (code, out, error) = run(&mut bench(&["--runs", "2", "--json"]));
    assert_eq!(code, Some(0), "{error}");
    let answer: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(
        (&answer["runs"], &answer["warm_up"]),
        (&json!(2), &json!(0))
    );
    assert_eq!(
        (&answer["width"], &answer["steps"]),
        (&json!(64), &json!(2))
    );
    assert_eq!(answer["peer"], Value::Null);
    let seconds = |stage: &str, which: &str| {
        let value = answer["stages"][stage][which].as_f64();
        value.unwrap_or_else(|| panic!("{stage} {which} in {answer}"))
    };
    for stage in ["text", "step", "decode", "encode", "picture"] {
        assert!(seconds(stage, "min_seconds") > 0.0, "{stage}");
        assert!(seconds(stage, "min_seconds") <= seconds(stage, "median_seconds"));
        assert!(seconds(stage, "median_seconds") <= seconds(stage, "max_seconds"));
    }
    // A picture's time is made of its stages'.
    let parts = ["text", "decode", "encode"].map(|stage| seconds(stage, "min_seconds"));
    let parts = parts.iter().sum::<f64>() + 2.0 * seconds("step", "min_seconds");
    assert!(seconds("picture", "max_seconds") >= parts, "{answer}");
    assert!(
        answer["processor"]
            .as_str()
            .is_some_and(|name| name.ends_with(" threads"))
    );
    assert!(answer["pictures_per_minute"].as_f64() > Some(0.0));
    assert!(
        answer["device"]
            .as_str()
            .is_some_and(|device| !device.is_empty())
    );
}

#[test]
fn bench_prints_a_table_to_people() {
    let (code, out, error) = run(&mut bench(&["--runs", "1"]));
    assert_eq!(code, Some(0), "{error}");
    for part in [
        "64×64, 2 steps",
        "1 after 0",
        "decode",
        "a minute",
        "peer: none",
    ] {
        assert!(out.contains(part), "{part} in {out}");
    }
}

#[test]
fn bench_is_told_at_once_what_it_cannot_do() {
    for (args, expected) in [
        (&["--runs", "0"][..], "0 is not in 1..=100"),
        (&["--limit", "0"], "0 is not in 1..=86400"),
        (
            &["--width", "65"],
            "--width must be a multiple of 8, not 65",
        ),
        (&["--model", "/nowhere"], "--model"),
    ] {
        let mut command = darkroom(&["bench"]);
        let (code, _, error) = run(command.args(args));
        assert_eq!(code, Some(2), "{error}");
        assert!(error.contains(expected), "{expected} in {error}");
    }
}
