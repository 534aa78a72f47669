//! An origin in a process of its own, which can be killed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use reqwest::{Client, Method, Response};
use serde_json::Value;

use crate::support::call::Call;
use crate::support::until;

/// A running origin; it is killed (`kill -9`) where it is dropped.
pub struct Process {
    child: Child,
    address: String,
    log: PathBuf,
    http: Client,
}

impl Process {
    /// Starts `command`, whose standard error is a log in `folder`; returns when it answers.
    pub async fn start(mut command: Command, log: &Path) -> Self {
        // The client wants to know it, though nothing here is asked over TLS.
        drop(rustls::crypto::ring::default_provider().install_default());
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(log).expect("a log"))
            .spawn()
            .expect("`cargo build --examples` was run");
        let mut process = Self {
            child,
            address: String::new(),
            log: log.to_owned(),
            http: Client::new(),
        };
        until(async || process.has_begun()).await;
        process
    }

    fn has_begun(&mut self) -> bool {
        let ended = self.child.try_wait().expect("a process");
        let log = self.log();
        assert!(ended.is_none(), "it ended with {ended:?}:\n{log}");
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let listening = lines
            .filter(|line: &Value| line["message"] == "listening")
            .find_map(|line| Some(line["address"].as_str()?.to_owned()));
        self.address = listening.unwrap_or_default();
        !self.address.is_empty()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("a log")
    }

    /// `kill -9`: nothing is told to end in order.
    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    /// Sends a call, signed as the edge signs it.
    ///
    /// # Errors
    /// There was no answer.
    pub async fn send(&self, call: &Call) -> reqwest::Result<Response> {
        let (parts, _) = call.signed().into_parts();
        let method = Method::from_bytes(parts.method.as_str().as_bytes()).expect("a method");
        let mut request = self
            .http
            .request(method, format!("http://{}{}", self.address, parts.uri));
        for (name, value) in &parts.headers {
            request = request.header(name.as_str(), value.as_bytes());
        }
        request.body(call.body.clone()).send().await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be dead already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
