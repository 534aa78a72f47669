//! The `darkroom` command, run as a user runs it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use darkroom_shared::signature::{self, Parts, Secret};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo-model");

/// Far beyond what anything here takes, half a minute until another machine's job is taken up
/// included.
const LIMIT: Duration = Duration::from_secs(90);

const SECRETS: &str = "a:0123456789abcdef0123456789abcdef";

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
    assert!(out.contains("| `DARKROOM_CONFIG` | – | `--config` |"));
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

/// A key of the right form.
fn key() -> String {
    format!("dk_{}", "0".repeat(43))
}

/// Runs a command of the edge's with a key, which it does not tell: it ends so, with these words.
fn ends(command: &str, args: &str, (variable, value): (&str, &str), (expected, part): (i32, &str)) {
    let args: Vec<_> = [command].into_iter().chain(args.split(' ')).collect();
    let (code, out, error) = run(darkroom(&args).env(variable, value));
    assert_eq!((code, out.as_str()), (Some(expected), ""), "{error}");
    assert!(error.contains(part), "{part} in {error}");
    assert!(!error.contains(&key()), "{error}");
}

#[test]
fn keys_says_what_it_needs_before_it_asks_anybody() {
    let key = key();
    let cases = [
        ("list", "", 2, "set DARKROOM_ADMIN_KEY"),
        (
            "list --edge-url edge.example.com",
            &key,
            2,
            "set DARKROOM_EDGE_URL",
        ),
        (
            "create --scopes read,root",
            &key,
            2,
            "generate, read, posts:write, admin",
        ),
        ("create --expires-in soon", &key, 2, "15m"),
        // Nothing listens on port 1.
        (
            "list --edge-url http://127.0.0.1:1",
            &key,
            1,
            "is it running, and is DARKROOM_EDGE_URL right?",
        ),
    ];
    for (args, admin_key, expected, part) in cases {
        ends(
            "keys",
            args,
            ("DARKROOM_ADMIN_KEY", admin_key),
            (expected, part),
        );
    }
}

#[test]
fn posts_says_what_it_needs_before_it_asks_anybody() {
    let key = key();
    let cases = [
        (
            "list",
            "",
            2,
            "the scope `posts:write` is needed: set DARKROOM_API_KEY",
        ),
        (
            "list --status hidden",
            &key,
            2,
            "draft, published, archived",
        ),
        ("show ../x", &key, 2, "no post's slug"),
        ("create", &key, 2, "--title"),
        (
            "create --title a --content-file /nowhere",
            &key,
            1,
            "`/nowhere` cannot be read",
        ),
        // Nothing listens on port 1.
        (
            "list --edge-url http://127.0.0.1:1",
            &key,
            1,
            "is it running, and is DARKROOM_EDGE_URL right?",
        ),
    ];
    for (args, api_key, expected, part) in cases {
        ends(
            "posts",
            args,
            ("DARKROOM_API_KEY", api_key),
            (expected, part),
        );
    }
}

#[test]
fn images_says_what_it_needs_before_it_asks_anybody() {
    let key = key();
    for (args, api_key, expected, part) in [
        (
            "list",
            "",
            2,
            "the scope `generate` is needed: set DARKROOM_API_KEY",
        ),
        ("show ../x", &key, 2, "../x"),
        ("regenerate", &key, 2, "<ID>"),
        (
            "restore 0193c7a2-0000-7000-8000-000000000001 --edge-url http://127.0.0.1:1",
            &key,
            1,
            "is DARKROOM_EDGE_URL right?",
        ),
    ] {
        ends(
            "images",
            args,
            ("DARKROOM_API_KEY", api_key),
            (expected, part),
        );
    }
}

#[test]
fn webhooks_says_what_it_needs_before_it_asks_anybody() {
    let key = key();
    for (args, api_key, expected, part) in [
        ("list", "", 2, "set DARKROOM_API_KEY"),
        ("resend ../x", &key, 2, "`darkroom webhooks list`"),
        ("list --limit 0", &key, 2, "1..=100"),
        (
            "secret --rotate --edge-url http://127.0.0.1:1",
            &key,
            1,
            "is DARKROOM_EDGE_URL right?",
        ),
    ] {
        ends(
            "webhooks",
            args,
            ("DARKROOM_API_KEY", api_key),
            (expected, part),
        );
    }
}

#[test]
fn an_empty_variable_is_none() {
    let mut command = darkroom(&["serve", "--listen", "here"]);
    let (code, _, error) = run(command.env("DARKROOM_CONFIG", ""));
    assert_eq!(code, Some(2));
    assert!(error.contains("DARKROOM_LISTEN"), "{error}");
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

/// A service that runs, and what it logs.
struct Running {
    child: Child,
    lines: Receiver<Value>,
    address: String,
}

impl Running {
    /// Starts it, and returns when it makes pictures.
    fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("started");
        let log = BufReader::new(child.stderr.take().expect("log"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let lines = log.lines().map_while(Result::ok);
            lines
                .filter_map(|line| serde_json::from_str(&line).ok())
                .try_for_each(|line| sender.send(line))
        });
        let mut running = Self {
            child,
            lines,
            address: String::new(),
        };
        let listening = running.logs("listening");
        let address = listening["address"].as_str().expect("address");
        address.clone_into(&mut running.address);
        running.logs("the engine is ready");
        running
    }

    /// Waits for a line with this message.
    fn logs(&self, message: &str) -> Value {
        loop {
            let line = self.lines.recv_timeout(LIMIT).expect("a line in time");
            if line["message"] == message {
                return line;
            }
        }
    }

    /// Hands in a job that takes some seconds, and kills the service (`kill -9`) while it makes it;
    /// the job's id.
    fn killed_at_work(self, just_before: impl FnOnce()) -> Value {
        let job = br#"{"prompt":"p","width":128,"height":128,"steps":150}"#;
        let accepted = send(&self.address, "POST", "/api/media/generate-image", job);
        assert!(accepted.starts_with("HTTP/1.1 202"), "{accepted}");
        let job = self.logs("the job is taken up")["job"].clone();
        just_before();
        drop(self);
        job
    }

    fn makes(&self, job: &Value) {
        assert_eq!(self.logs("the job is taken up")["job"], *job);
        assert_eq!(self.logs("the job has succeeded")["job"], *job);
    }
}

impl Drop for Running {
    /// Nothing runs on, whatever became of the test; and nothing is told to end in order.
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
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

/// Sends a request as the edge signs it; the whole answer.
fn send(address: &str, method: &str, path: &str, body: &[u8]) -> String {
    let digest = signature::content_digest(body);
    let parts = Parts {
        method,
        path,
        query: "",
        content_digest: &digest,
        caller: "alice",
    };
    let secrets = Secret::parse_list(SECRETS).expect("secrets");
    let now = darkroom_origin::clock::now() / 1000;
    let signed = signature::sign(&secrets[0], &parts, now, path).expect("signed");
    let mut stream = TcpStream::connect(address).expect("listening");
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: origin\r\nconnection: close\r\n\
         content-length: {}\r\nprefer: respond-async\r\ncontent-digest: {digest}\r\n\
         darkroom-caller: alice\r\nsignature-input: {}\r\nsignature: {}\r\n\r\n",
        body.len(),
        signed.input,
        signed.signature
    )
    .expect("sent");
    stream.write_all(body).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer
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
        .env("DARKROOM_ORIGIN_SECRETS", SECRETS)
        .env("DARKROOM_DATA_DIR", folder);
    command
}

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

/// What every command says of itself. A change here is a change for users: `cargo insta accept`, or
/// `INSTA_UPDATE=always cargo test --test command_line`, takes it over.
#[test]
fn help_says_what_there_is() {
    for command in [
        "",
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

/// Takes a change over as `help_says_what_there_is` does.
#[test]
fn openapi_describes_the_edges_api() {
    let (code, out, error) = run(&mut darkroom(&["openapi"]));
    assert_eq!(code, Some(0), "{error}");
    insta::assert_snapshot!("openapi", out);
}

/// The answer of a command over a data folder, as JSON.
fn answer(folder: &Path, command: &str) -> Value {
    let args: Vec<_> = command.split(' ').chain(["--json"]).collect();
    let (code, out, error) = run(darkroom(&args).env("DARKROOM_DATA_DIR", folder));
    assert_eq!(code, Some(0), "{error}");
    serde_json::from_str(&out).expect("JSON")
}

#[test]
fn migrate_makes_a_database_and_then_finds_nothing_to_do() {
    let folder = tempfile::tempdir().expect("folder");
    let (code, _, error) = run(darkroom(&["jobs", "list"]).env("DARKROOM_DATA_DIR", folder.path()));
    assert_eq!(code, Some(1));
    assert!(error.contains("darkroom migrate"), "{error}");
    let first = answer(folder.path(), "migrate");
    assert_eq!(first["before"], Value::Null);
    assert!(first["after"].as_i64() >= Some(6), "{first}");
    let second = answer(folder.path(), "migrate");
    assert_eq!(second["before"], first["after"]);
    assert_eq!(answer(folder.path(), "jobs list")["items"], json!([]));
}

/// Beside a service that runs, with which it shares nothing but the database.
#[test]
fn jobs_are_listed_shown_canceled_and_made_after_all() {
    let folder = tempfile::tempdir().expect("folder");
    let service = Running::start(serve(folder.path()));
    let ask = br#"{"prompt":"a secret","width":512,"height":512,"steps":150}"#;
    let accepted = send(&service.address, "POST", "/api/media/generate-image", ask);
    assert!(accepted.starts_with("HTTP/1.1 202"), "{accepted}");
    let job = service.logs("the job is taken up")["job"].clone();
    let id = job.as_str().expect("id");

    let list = answer(folder.path(), "jobs list --status running --account alice");
    assert_eq!(list["items"][0]["id"], job);
    assert_eq!(list["items"][0]["account"], "alice");
    let others = answer(folder.path(), "jobs list --account bob");
    assert_eq!(others["items"], json!([]));
    let mut table = darkroom(&["jobs", "list"]);
    let (_, table, _) = run(table.env("DARKROOM_DATA_DIR", folder.path()));
    assert!(table.contains(id) && !table.contains("secret"), "{table}");

    let canceled = answer(folder.path(), &format!("jobs cancel {id}"));
    assert_eq!(canceled["status"], "canceled");
    service.logs("the job was stopped");
    let mut again = darkroom(&["jobs", "cancel", id]);
    let (code, _, error) = run(again.env("DARKROOM_DATA_DIR", folder.path()));
    assert_eq!(code, Some(1));
    assert!(error.contains("is canceled"), "{error}");

    let retried = answer(folder.path(), &format!("jobs retry {id}"));
    assert_eq!(retried["status"], "queued");
    assert_eq!(service.logs("the job is taken up")["job"], job);
    let shown = answer(folder.path(), &format!("jobs show {id}"));
    assert_eq!(shown["status"], "running");
    assert_eq!(shown["finished_at"], Value::Null);
    assert_eq!(shown["recipe"]["prompt"], "a secret");
}

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
    let page = send(&admin, "GET", "/docs", b"");
    assert!(
        page.contains("content-security-policy: default-src 'none'"),
        "{page}"
    );
    assert!(admin.starts_with("127.0.0.1:"), "{admin}");
    let none = send(&edges, "GET", "/metrics", b"");
    assert!(none.starts_with("HTTP/1.1 404"), "{none}");
    child.kill().expect("killed");
    child.wait().expect("ended");
}

/// Serves a folder's files, or the rest of one, until the process ends; its address, and what was
/// asked for.
fn file_server(folder: &Path) -> (String, Receiver<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("address");
    let (sender, asked) = channel();
    let folder = folder.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let first = lines.next().expect("a request");
            let path = first.split(' ').nth(1).expect("a path").to_owned();
            let headers: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            let from = headers.iter().find_map(|line| {
                let range = line.strip_prefix("range: bytes=")?;
                range.strip_suffix('-')?.parse::<usize>().ok()
            });
            let file = std::fs::read(folder.join(path.trim_start_matches('/'))).expect("file");
            let status = if from.is_some() {
                "206 Partial Content"
            } else {
                "200 OK"
            };
            let rest = &file[from.unwrap_or(0)..];
            let head = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                rest.len()
            );
            let mut stream = &stream;
            stream.write_all(head.as_bytes()).expect("sent");
            stream.write_all(rest).expect("sent");
            let said = format!("{path} from {}", from.unwrap_or(0));
            if sender.send(said).is_err() {
                return;
            }
        }
    });
    (format!("http://{address}"), asked)
}

#[test]
fn a_model_is_pulled_from_where_it_broke_off_and_checked() {
    let source = tempfile::tempdir().expect("folder");
    std::fs::create_dir(source.path().join("unet")).expect("folder");
    let files = [
        ("model_index.json", "{}"),
        ("unet/weights.safetensors", "0123456789"),
    ];
    let mut sums = String::new();
    for (name, content) in files {
        std::fs::write(source.path().join(name), content).expect("written");
        let digest = hex::encode(Sha256::digest(content.as_bytes()));
        sums.push_str(&[&digest, "  ", name, "\n"].concat());
    }
    std::fs::write(source.path().join("SHA256SUMS"), &sums).expect("written");
    let (url, asked) = file_server(source.path());
    let models = tempfile::tempdir().expect("folder");
    let target = models.path().join("tiny");
    let command = |args: &[&str]| {
        let mut command = darkroom(&["models"]);
        run(command.args(args).arg(&target).arg("--json"))
    };

    // What a connection that broke has left.
    std::fs::create_dir_all(target.join("unet")).expect("folder");
    let part = target.join("unet/weights.safetensors.part");
    std::fs::write(&part, "0123").expect("written");
    let (code, out, error) = command(&["pull", &url]);
    assert_eq!(code, Some(0), "{error}");
    let pulled: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(pulled["files"], 2);
    let weights = std::fs::read_to_string(target.join("unet/weights.safetensors"));
    assert_eq!(weights.expect("read"), "0123456789");
    assert!(!part.exists());
    let asked: Vec<_> = asked.try_iter().collect();
    assert_eq!(
        asked,
        [
            "/SHA256SUMS from 0",
            "/model_index.json from 0",
            "/unet/weights.safetensors from 4"
        ]
    );

    let mut list = darkroom(&["models", "list", "--json"]);
    let (_, list, error) = run(list.arg(models.path()));
    let list: Value = serde_json::from_str(&list).expect(&error);
    assert_eq!(list["items"][0]["name"], "tiny");

    std::fs::write(target.join("model_index.json"), "{ }").expect("written");
    let (code, _, error) = command(&["verify"]);
    assert_eq!(code, Some(1));
    assert!(
        error.contains("`model_index.json` has other bytes"),
        "{error}"
    );
    let (code, _, error) = command(&["pull", &url, "--sha256", "00"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("--sha256"), "{error}");

    // A server whose file is not what its list says.
    std::fs::write(source.path().join("model_index.json"), "evil").expect("written");
    let (code, _, error) = command(&["pull", &url]);
    assert_eq!(code, Some(1));
    assert!(error.contains("nothing of it was kept"), "{error}");
    let kept = std::fs::read_to_string(target.join("model_index.json"));
    assert_eq!(kept.expect("read"), "{ }");
}
