//! `scripts/dev`, started for a test and stopped with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use axum::error_handling::HandleError;
use axum::http::StatusCode;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use tokio::net::TcpListener;

/// Far beyond what anything here takes; reached only by something that hangs.
const LIMIT: Duration = Duration::from_secs(180);

pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// `scripts/dev` on free ports, with a state folder of its own.
pub fn dev_command(state: &Path) -> Command {
    let mut command = Command::new(repository().join("scripts/dev"));
    command
        .args(["--edge-port", "0", "--origin-port", "0"])
        .env("DARKROOM_DEV_DIR", state)
        .env_remove("DATABASE_URL")
        .env_remove("AWS_S3_BUCKET")
        .env_remove("AWS_CLOUDFRONT_DOMAIN")
        .env_remove("SIGNING_KEYS")
        .stdin(Stdio::null());
    // What cargo says of this test would make a build in there compile anew what depends on it:
    // ring's build script looks at some of it.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
    command.env_remove("OUT_DIR");
    command
}

/// A running edge and origin.
pub struct Stack {
    dev: Child,
    state: tempfile::TempDir,
    pub edge: String,
    pub origin: String,
    pub key: String,
    pub http: Client,
}

impl Stack {
    pub fn start(environment: &[(&str, &str)]) -> Self {
        // The client wants to know it, though nothing here is asked over TLS.
        drop(rustls::crypto::ring::default_provider().install_default());
        let state = tempfile::tempdir().expect("a state folder");
        let log = state.path().join("test.log");
        let out = fs::File::create(&log).expect("a log");
        let mut dev = dev_command(state.path())
            .envs(environment.iter().copied())
            .stdout(out.try_clone().expect("a log"))
            .stderr(out)
            .spawn()
            .expect("scripts/dev starts");
        let env = state.path().join("env");
        let begun = Instant::now();
        while !env.is_file() {
            let ended = dev.try_wait().expect("a process");
            if ended.is_some() || begun.elapsed() > LIMIT {
                let text = fs::read_to_string(&log).unwrap_or_default();
                let _ = dev.kill();
                panic!("scripts/dev did not come up ({ended:?}):\n{text}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let text = fs::read_to_string(&env).expect("the environment");
        let value = |name: &str| {
            let line = text.lines().find_map(|line| {
                line.trim_start_matches("export ")
                    .strip_prefix(&format!("{name}="))
            });
            let value = line.unwrap_or_else(|| panic!("{name} in\n{text}"));
            value.trim_matches(['\'', '"']).to_owned()
        };
        Self {
            edge: value("EDGE_URL"),
            origin: value("ORIGIN_URL"),
            key: value("API_KEY"),
            http: Client::new(),
            dev,
            state,
        }
    }

    pub fn state(&self) -> &Path {
        self.state.path()
    }

    /// A request to the edge with the key.
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(self.at(path)).bearer_auth(&self.key)
    }

    pub fn delete(&self, path: &str) -> RequestBuilder {
        self.http.delete(self.at(path)).bearer_auth(&self.key)
    }

    /// A generate request to the edge with the key.
    pub fn generate(&self, body: &Value) -> RequestBuilder {
        self.http
            .post(self.at("/api/media/generate-image"))
            .bearer_auth(&self.key)
            .json(body)
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.edge)
    }

    /// Polls a job until `done` says so.
    pub async fn job_until(&self, id: &str, done: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let job = json(self.get(&format!("/api/jobs/{id}")).send().await).await;
            if done(&job) {
                return job;
            }
            assert!(begun.elapsed() < LIMIT, "still {job}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends `scripts/dev` by a signal to its process alone.
    pub fn stop(&mut self) -> std::process::ExitStatus {
        let pid = self.dev.id().to_string();
        let signalled = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(signalled.expect("kill runs").success());
        wait(&mut self.dev)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if self.dev.try_wait().ok().flatten().is_none() {
            self.stop();
        }
    }
}

/// Waits for a process, with a limit.
pub fn wait(child: &mut Child) -> std::process::ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a process") {
            return status;
        }
        if begun.elapsed() > LIMIT {
            let _ = child.kill();
            panic!("the process did not end");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A JSON answer.
pub async fn json(response: reqwest::Result<Response>) -> Value {
    let response = response.expect("an answer");
    let status = response.status();
    let text = response.text().await.expect("a body");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{status}: {error}: {text}"))
}

/// An S3 server on 127.0.0.1 over a folder whose folders are its buckets. Ends with the test's
/// runtime.
pub async fn s3(root: &Path, access_key: &str, secret_key: &str) -> String {
    let files = s3s_fs::FileSystem::new(root).expect("a file system");
    let mut builder = s3s::service::S3ServiceBuilder::new(files);
    builder.set_auth(s3s::auth::SimpleAuth::from_single(access_key, secret_key));
    let service = HandleError::new(builder.build(), |error: s3s::HttpError| async move {
        (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:?}"))
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = Router::new().fallback_service(service);
    tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
    format!("http://{address}")
}
