//! Asking the edge, as an admin or as whoever a key belongs to.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use darkroom_origin::cause::chain;
use darkroom_shared::api_key::ApiKey;
use darkroom_shared::job::Page;
use darkroom_shared::problem::{Code, FieldError, Problem};
use reqwest::redirect::Policy;
use reqwest::{Client, Method};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;
use url::form_urlencoded::Serializer;

use super::runtime::block_on;
use super::{Failure, print};

const EDGE_URL: &str = "DARKROOM_EDGE_URL";
/// For a whole answer.
const LIMIT: Duration = Duration::from_secs(30);

/// What the edge is asked about, in messages to who typed the command.
#[derive(Debug)]
pub struct Subject {
    /// The variable that the key is in.
    pub key_variable: &'static str,
    /// The scope that it must have.
    pub scope: &'static str,
    /// What a key without it may not do.
    pub forbidden: &'static str,
    /// One of what is asked about, and how to find out which there are.
    pub missing: &'static str,
}

/// Which edge is asked, and how its answer is printed.
#[derive(Debug, Args)]
pub struct EdgeArgs {
    /// The edge's address
    #[arg(long, global = true, value_name = "URL", env = EDGE_URL, default_value = "http://127.0.0.1:8787")]
    edge_url: String,
    /// Print the edge's answer as JSON
    #[arg(long, global = true)]
    json: bool,
}

impl EdgeArgs {
    /// Asks the edge with a key about a subject, and prints what `answer` makes of it: for
    /// programs, or else for people.
    pub fn ask(
        &self,
        key: Option<&SecretString>,
        subject: &'static Subject,
        answer: impl AsyncFnOnce(&Edge) -> Result<(Value, String), Failure>,
    ) -> Result<(), Failure> {
        let edge = Edge::open(&self.edge_url, key, subject)?;
        let (json, text) = block_on(answer(&edge))?;
        if self.json {
            print::json(&json)
        } else {
            print::text(&text)
        }
    }
}

/// The edge.
pub struct Edge {
    subject: &'static Subject,
    url: String,
    key: ApiKey,
    http: Client,
}

impl Edge {
    /// The edge at an address, asked with a key about a subject.
    fn open(
        edge_url: &str,
        key: Option<&SecretString>,
        subject: &'static Subject,
    ) -> Result<Self, Failure> {
        let text = key.map(SecretString::expose_secret);
        let key = ApiKey::parse(text.unwrap_or_default().trim()).ok_or_else(|| {
            Failure::Input(anyhow!(
                "a key with the scope `{}` is needed: set {} to one (dk_…)",
                subject.scope,
                subject.key_variable
            ))
        })?;
        let url: Option<Url> = edge_url.parse().ok();
        let url = url
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| {
                Failure::Input(anyhow!(
                    "`{edge_url}` is no address: set {EDGE_URL} to the edge's, as https://edge.example.com"
                ))
            })?;
        // TLS by the same library and with the same primitives as the store's client. An error
        // says that this process has chosen before, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = Client::builder()
            .timeout(LIMIT)
            // An address to which the key was not meant to go.
            .redirect(Policy::none())
            .build()
            .context("no HTTP here")?;
        Ok(Self {
            subject,
            url: url.as_str().trim_end_matches('/').to_owned(),
            key,
            http,
        })
    }

    /// A GET's answer.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.ask(Method::GET, path, None).await
    }

    /// All items of a list, of as many pages as there are; `given` says which.
    pub async fn list(
        &self,
        path: &str,
        given: &[(&str, Option<&str>)],
    ) -> Result<Vec<Value>, Failure> {
        let (mut items, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut query = Serializer::new(String::new());
            query.append_pair("limit", "100");
            for (name, value) in given.iter().chain(&[("cursor", cursor.as_deref())]) {
                if let Some(value) = value {
                    query.append_pair(name, value);
                }
            }
            let page = self.get(&format!("{path}?{}", query.finish())).await?;
            let page: Page<Value> = read(&page)?;
            items.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(items);
            }
        }
    }

    /// A POST's answer.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// A PATCH's answer.
    pub async fn patch(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask(Method::PATCH, path, Some(body)).await
    }

    /// A DELETE, which answers nothing.
    pub async fn delete(&self, path: &str) -> Result<(), Failure> {
        self.ask(Method::DELETE, path, None).await.map(|_| ())
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(self.key.expose());
        if let Some(body) = body {
            request = request.json(body);
        }
        let answered = async {
            let response = request.send().await?;
            Ok((response.status(), response.bytes().await?))
        };
        let (status, bytes) = answered.await.map_err(|error: reqwest::Error| {
            anyhow!(
                "the edge at {} does not answer ({}): is it running, and is {EDGE_URL} right?",
                self.url,
                chain(&error.without_url())
            )
        })?;
        if status.is_success() && bytes.is_empty() {
            return Ok(Value::Null);
        }
        if status.is_success() {
            let json = serde_json::from_slice(&bytes);
            return Ok(json.with_context(|| self.is_no_edge(status.as_u16()))?);
        }
        match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => Err(failure(&problem, self.subject)),
            Err(_) => Err(anyhow!(self.is_no_edge(status.as_u16())).into()),
        }
    }

    fn is_no_edge(&self, status: u16) -> String {
        let url = &self.url;
        format!("what answers {status} at {url} is no edge: is {EDGE_URL} right?")
    }
}

/// An answer of the edge, or a part of one, as what it should be.
pub fn read<T: DeserializeOwned>(answer: &Value) -> Result<T, Failure> {
    let read = T::deserialize(answer);
    Ok(read.context("the edge answers in another form: is this its own command line?")?)
}

/// What a problem means to who typed the command, and what to do.
fn failure(problem: &Problem, subject: &Subject) -> Failure {
    let Subject {
        key_variable,
        scope,
        forbidden,
        missing,
    } = subject;
    match problem.code {
        Code::Unauthorized => Failure::Input(anyhow!(
            "the edge does not know this key: {key_variable} must be one that is neither expired nor revoked"
        )),
        Code::Forbidden => Failure::Input(anyhow!(
            "this key may not {forbidden}: {key_variable} must be one with the scope `{scope}`"
        )),
        Code::NotFound => Failure::Input(anyhow!("there is no such {missing}")),
        Code::Invalid if !problem.errors.is_empty() => {
            Failure::Input(anyhow!(flags(&problem.errors)))
        }
        _ => {
            let id = problem.request_id.as_deref().unwrap_or("none");
            let (status, detail) = (problem.status, &problem.detail);
            Failure::Run(anyhow!(
                "the edge answers {status}: {detail} (request {id})"
            ))
        }
    }
}

/// The wrong fields under the names of their flags.
fn flags(errors: &[FieldError]) -> String {
    let line = |error: &FieldError| {
        let flag = match error.field.as_str() {
            "grace_seconds" => "grace".to_owned(),
            field => field.replace('_', "-"),
        };
        format!("--{flag} {}", error.message)
    };
    errors
        .iter()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n       ")
}
