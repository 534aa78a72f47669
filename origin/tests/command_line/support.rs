//! What the tests stand on: the command, and a service that it runs.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use darkroom_shared::signature::{self, Parts, Secret};
use serde_json::Value;

pub const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo-model");

/// Far beyond what anything here takes, half a minute until another machine's job is taken up
/// included.
pub const LIMIT: Duration = Duration::from_secs(90);

pub const SECRETS: &str = "a:0123456789abcdef0123456789abcdef";

/// The command with none of the caller's own settings.
pub fn darkroom(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_darkroom"));
    command.args(args);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["DARKROOM_", "AWS_", "OTEL_", "DATABASE_URL", "RUST_LOG"]
            .iter()
            .any(|ours| text.starts_with(ours))
        {
            command.env_remove(&name);
        }
    }
    command
}

pub fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("started");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

/// A key of the right form.
pub fn key() -> String {
    format!("dk_{}", "0".repeat(43))
}

/// Runs a command of the edge's with a key, which it does not tell: it ends so, with these words.
pub fn ends(
    command: &str,
    args: &str,
    (variable, value): (&str, &str),
    (expected, part): (i32, &str),
) {
    let args: Vec<_> = [command].into_iter().chain(args.split(' ')).collect();
    let (code, out, error) = run(darkroom(&args).env(variable, value));
    assert_eq!((code, out.as_str()), (Some(expected), ""), "{error}");
    assert!(error.contains(part), "{part} in {error}");
    assert!(!error.contains(&key()), "{error}");
}

/// A service that runs, and what it logs.
pub struct Running {
    pub child: Child,
    pub lines: Receiver<Value>,
    pub address: String,
}

impl Running {
    /// Starts it, and returns when it makes pictures.
    pub fn start(mut command: Command) -> Self {
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
    pub fn logs(&self, message: &str) -> Value {
        loop {
            let line = self.lines.recv_timeout(LIMIT).expect("a line in time");
            if line["message"] == message {
                return line;
            }
        }
    }

    /// Hands in a job that takes some seconds, and kills the service (`kill -9`) while it makes it;
    /// the job's id.
    pub fn killed_at_work(self, just_before: impl FnOnce()) -> Value {
        let job = br#"{"prompt":"p","width":128,"height":128,"steps":150}"#;
        let accepted = send(&self.address, "POST", "/api/media/generate-image", job);
        assert!(accepted.starts_with("HTTP/1.1 202"), "{accepted}");
        let job = self.logs("the job is taken up")["job"].clone();
        just_before();
        drop(self);
        job
    }

    pub fn makes(&self, job: &Value) {
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

/// Sends a request as the edge signs it; the whole answer.
pub fn send(address: &str, method: &str, path: &str, body: &[u8]) -> String {
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

pub fn serve(folder: &Path) -> Command {
    let mut command = darkroom(&["serve", "--listen", "127.0.0.1:0", "--device", "cpu"]);
    command
        .env("DARKROOM_MODEL", MODEL)
        .env("DARKROOM_ORIGIN_SECRETS", SECRETS)
        .env("DARKROOM_DATA_DIR", folder);
    command
}

/// The answer of a command over a data folder, as JSON.
pub fn answer(folder: &Path, command: &str) -> Value {
    let args: Vec<_> = command.split(' ').chain(["--json"]).collect();
    let (code, out, error) = run(darkroom(&args).env("DARKROOM_DATA_DIR", folder));
    assert_eq!(code, Some(0), "{error}");
    serde_json::from_str(&out).expect("JSON")
}
