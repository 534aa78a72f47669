//! Requests as the edge signs them, and answers as it reads them.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use darkroom_shared::signature::{self, Parts};
use serde_json::Value;
use uuid::Uuid;

use super::secrets;
use super::sse::Events;

/// A request to be signed.
#[derive(Clone)]
pub struct Call {
    pub method: Method,
    pub path: String,
    pub query: String,
    pub body: Vec<u8>,
    pub caller: String,
    pub created: i64,
    headers: Vec<(String, String)>,
}

/// An answer; its body is read when it is asked for.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    body: Body,
}

impl Call {
    pub fn new(method: Method, uri: &str) -> Self {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        Self {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            body: Vec::new(),
            caller: "alice".to_owned(),
            created: darkroom_origin::clock::now() / 1000,
            headers: Vec::new(),
        }
    }

    pub fn get(uri: &str) -> Self {
        Self::new(Method::GET, uri)
    }

    pub fn delete(uri: &str) -> Self {
        Self::new(Method::DELETE, uri)
    }

    pub fn generate(body: &Value) -> Self {
        Self {
            body: body.to_string().into_bytes(),
            ..Self::new(Method::POST, "/api/media/generate-image")
        }
        .header("content-type", "application/json")
    }

    pub fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string().into_bytes();
        self.header("content-type", "application/json")
    }

    pub fn by(self, caller: &str) -> Self {
        Self {
            caller: caller.to_owned(),
            ..self
        }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The request with its signature, made anew each time.
    pub fn signed(&self) -> Request {
        let digest = signature::content_digest(&self.body);
        let parts = Parts {
            method: self.method.as_str(),
            path: &self.path,
            query: &self.query,
            content_digest: &digest,
            caller: &self.caller,
        };
        let nonce = Uuid::new_v4().simple().to_string();
        let signed = signature::sign(&secrets()[0], &parts, self.created, &nonce).expect("signed");
        let mut request = self.unsigned();
        for (name, value) in [
            (signature::DIGEST_HEADER, digest.as_str()),
            (signature::CALLER_HEADER, self.caller.as_str()),
            (signature::INPUT_HEADER, signed.input.as_str()),
            (signature::SIGNATURE_HEADER, signed.signature.as_str()),
        ] {
            let value = value.parse().expect("header");
            request.headers_mut().insert(name, value);
        }
        request
    }

    pub fn unsigned(&self) -> Request {
        let uri = match self.query.as_str() {
            "" => self.path.clone(),
            query => format!("{}?{query}", self.path),
        };
        let mut request = Request::builder().method(self.method.clone()).uri(uri);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request
            .body(Body::from(self.body.clone()))
            .expect("request")
    }
}

impl Answer {
    pub fn new(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        Self {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().expect("text"))
    }

    pub async fn bytes(self) -> Bytes {
        to_bytes(self.body, usize::MAX).await.expect("body")
    }

    pub async fn json(self) -> Value {
        serde_json::from_slice(&self.bytes().await).expect("JSON")
    }

    /// The answer as a problem document of `code`.
    pub async fn problem(self, code: &str) -> Value {
        assert_eq!(self.header("content-type"), "application/problem+json");
        let status = self.status;
        let id = self.header("x-request-id").to_owned();
        let problem = self.json().await;
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status.as_u16());
        assert_eq!(problem["request_id"], id);
        problem
    }

    pub fn events(self) -> Events {
        assert_eq!(self.header("content-type"), "text/event-stream");
        Events::new(self.body)
    }
}
