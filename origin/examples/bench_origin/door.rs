//! An origin as the edge asks it: every request is signed.

use anyhow::{Context as _, Result, ensure};
use darkroom_origin::clock;
use darkroom_shared::signature::{self, Parts, Secret};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use uuid::Uuid;

/// The secret shared with the origins.
pub const SECRET: &str = "bench:0123456789abcdef0123456789abcdef";

/// The door of one origin. Clones share its connections.
#[derive(Clone)]
pub struct Door {
    http: Client,
    address: String,
    secret: Secret,
}

/// What a caller wants to be told of a job, and when.
#[derive(Clone, Copy)]
pub enum Prefer {
    /// That it is accepted.
    Async,
    /// How it ended.
    Wait,
}

impl Door {
    /// The door at `address` (`127.0.0.1:PORT`).
    pub fn new(address: &str) -> Result<Self> {
        let mut secrets = Secret::parse_list(SECRET)?;
        Ok(Self {
            http: Client::new(),
            address: address.to_owned(),
            secret: secrets.pop().context("a secret")?,
        })
    }

    /// Sends a request of `caller`'s, signed.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        caller: &str,
        body: Option<&Value>,
        prefer: &str,
    ) -> Result<Response> {
        let body = body.map(ToString::to_string).unwrap_or_default();
        let digest = signature::content_digest(body.as_bytes());
        let parts = Parts {
            method: method.as_str(),
            path,
            query: "",
            content_digest: &digest,
            caller,
        };
        let nonce = Uuid::new_v4().simple().to_string();
        let signed = signature::sign(&self.secret, &parts, clock::now() / 1000, &nonce)?;
        let request = self
            .http
            .request(method, format!("http://{}{path}", self.address))
            .header(signature::DIGEST_HEADER, digest)
            .header(signature::CALLER_HEADER, caller)
            .header(signature::INPUT_HEADER, signed.input)
            .header(signature::SIGNATURE_HEADER, signed.signature)
            .header("content-type", "application/json")
            .header("prefer", prefer)
            .body(body);
        Ok(request.send().await?)
    }

    /// Hands in a job of so many steps; the job as it was answered.
    pub async fn generate(
        &self,
        caller: &str,
        seed: usize,
        steps: usize,
        prefer: Prefer,
    ) -> Result<Value> {
        let body = json!({ "prompt": "a fox in the snow", "seed": seed, "steps": steps });
        let prefer = match prefer {
            Prefer::Async => "respond-async",
            Prefer::Wait => "wait=120",
        };
        let path = "/api/media/generate-image";
        let answer = self.send(Method::POST, path, caller, Some(&body), prefer);
        let mut answer: Value = answer.await?.error_for_status()?.json().await?;
        Ok(answer["job"].take())
    }

    /// One of `caller`'s jobs.
    pub async fn job(&self, caller: &str, id: &str) -> Result<Value> {
        let path = format!("/api/jobs/{id}");
        let answer = self.send(Method::GET, &path, caller, None, "").await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    /// Calls one of them off.
    pub async fn cancel(&self, caller: &str, id: &str) -> Result<()> {
        let path = format!("/api/jobs/{id}");
        let answer = self.send(Method::DELETE, &path, caller, None, "").await?;
        answer.error_for_status()?;
        Ok(())
    }

    /// The events of one of them.
    pub async fn events(&self, caller: &str, id: &str) -> Result<Response> {
        let path = format!("/api/jobs/{id}/events");
        let answer = self.send(Method::GET, &path, caller, None, "").await?;
        Ok(answer.error_for_status()?)
    }

    /// Asks whether it lives: signed like the rest, and nothing to do for whoever answers.
    pub async fn alive(&self) -> Result<()> {
        let answer = self.send(Method::GET, "/healthz", "", None, "").await?;
        ensure!(answer.status().is_success(), "{}", answer.status());
        answer.bytes().await?;
        Ok(())
    }
}

/// The id of a job that was answered.
pub fn id(job: &Value) -> Result<String> {
    Ok(job["id"].as_str().context("a job without id")?.to_owned())
}
