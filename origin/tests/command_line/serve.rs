//! `darkroom serve`

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{LIMIT, Running, SECRETS, run, send, serve};

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
    let ready: Value = serde_json::from_str(&ready.expect("ready")).expect("a JSON line");
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

/// While a job holds up the end, the service still says that it is about to stop; told once more,
/// it does not wait for the job.
#[test]
fn serve_says_that_it_drains_and_ends_at_once_when_told_twice() {
    let folder = tempfile::tempdir().expect("folder");
    let mut command = serve(folder.path());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("started");
    let log = BufReader::new(child.stderr.take().expect("log"));
    let mut lines = log.lines().map(|line| line.expect("line"));
    let mut line_with = |text: &str| lines.find(|line| line.contains(text)).expect("line");
    let listening: Value = serde_json::from_str(&line_with("listening")).expect("JSON");
    let address = listening["address"].as_str().expect("address").to_owned();
    line_with("the engine is ready");
    let job = br#"{"prompt":"p","width":512,"height":512,"steps":150}"#;
    let accepted = send(&address, "POST", "/api/media/generate-image", job);
    assert!(accepted.starts_with("HTTP/1.1 202"), "{accepted}");
    line_with("the job is taken up");

    let tell = || {
        let kill = Command::new("kill").arg(child.id().to_string()).status();
        assert!(kill.expect("kill").success());
    };
    tell();
    line_with("told to end");
    let ready = send(&address, "GET", "/readyz", b"");
    assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
    assert!(ready.contains("\"draining\":true"), "{ready}");
    tell();
    line_with("told twice to end");
    assert_eq!(child.wait().expect("ended").code(), Some(1));
}

#[test]
fn the_job_of_a_process_that_was_killed_is_made_by_the_next() {
    let folder = tempfile::tempdir().expect("folder");
    let job = Running::start(serve(folder.path())).killed_at_work(|| {});
    Running::start(serve(folder.path())).makes(&job);
}

/// As on two machines: the second knows nothing of the first but what is in the database.
#[test]
#[ignore = "needs `scripts/with-postgres`"]
fn the_job_of_a_machine_that_was_killed_is_made_by_another() {
    let url = std::env::var("DARKROOM_TEST_POSTGRES").expect("a server");
    let folder = tempfile::tempdir().expect("folder");
    let over = |data: &str| {
        let mut command = serve(&folder.path().join(data));
        command.env("DATABASE_URL", &url);
        Running::start(command)
    };
    let mut other = None;
    let job = over("a").killed_at_work(|| other = Some(over("b")));
    other.expect("started").makes(&job);
}

#[test]
fn two_services_do_not_share_a_database() {
    let folder = tempfile::tempdir().expect("folder");
    let url = format!("sqlite://{}", folder.path().join("jobs.db").display());
    let over = |data: &str| {
        let mut command = serve(&folder.path().join(data));
        command.env("DATABASE_URL", &url);
        command
    };
    let mut first = over("a").stderr(Stdio::piped()).spawn().expect("started");
    let log = BufReader::new(first.stderr.take().expect("log"));
    let mut lines = log.lines().map(|line| line.expect("line"));
    assert!(lines.any(|line| line.contains("listening")));
    let (code, _, error) = run(&mut over("b"));
    assert_eq!(code, Some(1));
    assert!(
        error.contains("another darkroom serves from the database"),
        "{error}"
    );
    first.kill().expect("killed");
    first.wait().expect("ended");
}

#[test]
fn serve_ends_where_the_model_cannot_be_loaded() {
    let folder = tempfile::tempdir().expect("folder");
    let mut command = serve(folder.path());
    let (code, _, error) = run(command.args(["--model", "/nowhere"]));
    assert_eq!(code, Some(1));
    assert!(error.contains("/nowhere"), "{error}");
}

#[test]
fn no_log_holds_prompts_or_secrets() {
    let folder = tempfile::tempdir().expect("folder");
    let mut command = serve(folder.path());
    command.env("DARKROOM_LOG", "debug");
    let service = Running::start(command);
    for ask in [
        r#"{"prompt":"hush hush","negative_prompt":"hush","width":64,"height":64,"steps":1}"#,
        r#"{"prompt":"hush hush","steps":"hush"}"#,
    ] {
        let route = "/api/media/generate-image";
        let answer = send(&service.address, "POST", route, ask.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    }
    let mut lines = Vec::new();
    while !lines
        .iter()
        .any(|line: &Value| line["message"] == "the job has succeeded")
    {
        lines.push(service.lines.recv_timeout(LIMIT).expect("a line in time"));
    }
    let secret = SECRETS.split_once(':').expect("id and secret").1;
    for line in lines {
        let line = line.to_string();
        assert!(!line.contains("hush") && !line.contains(secret), "{line}");
    }
}

#[test]
fn the_operators_routes_are_on_a_listener_of_their_own() {
    let folder = tempfile::tempdir().expect("folder");
    let mut command = serve(folder.path());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("started");
    let log = BufReader::new(child.stderr.take().expect("log"));
    let line = log.lines().map_while(Result::ok);
    let mut lines = line.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    let mut address = |message: &str| {
        let line = lines.find(|line| line["message"] == message).expect("line");
        line["address"].as_str().expect("address").to_owned()
    };
    let admin = address("the operator's routes are open");
    let edges = address("listening");
    let metrics = send(&admin, "GET", "/metrics", b"");
    assert!(metrics.contains("darkroom_database_up 1"), "{metrics}");
    let document = send(&admin, "GET", "/openapi.json", b"");
    let (_, document) = document.split_once("\r\n\r\n").expect("a body");
    let document: Value = serde_json::from_str(document).expect("JSON");
    assert_eq!(document["openapi"], "3.1.0");
    for (path, part) in [
        ("/docs", "/docs.js"),
        ("/docs.js", "openapi.json"),
        ("/docs.css", "details"),
    ] {
        let page = send(&admin, "GET", path, b"");
        let policy = "content-security-policy: default-src 'none'";
        assert!(page.contains(policy) && page.contains(part), "{page}");
    }
    assert!(admin.starts_with("127.0.0.1:"), "{admin}");
    let none = send(&edges, "GET", "/metrics", b"");
    assert!(none.starts_with("HTTP/1.1 404"), "{none}");
    child.kill().expect("killed");
    child.wait().expect("ended");
}
