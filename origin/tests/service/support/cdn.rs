//! CloudFront's API as far as it is used here: each reference counts once.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use darkroom_origin::cloudfront::CloudFront;
use darkroom_origin::config::Distribution;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::until;

const DISTRIBUTION: &str = "E1A2B3C4D5E6F7";

/// How it answers.
pub enum Reply {
    /// With this, and does nothing.
    Status(u16),
    /// It has too much to do.
    Busy,
    /// It has heard, but nobody hears of that.
    Lost,
    /// It has heard, and says so when it is told to.
    Held(Arc<Notify>),
}

#[derive(Default)]
struct Inner {
    /// Paths by reference.
    told: BTreeMap<String, Vec<String>>,
    tries: usize,
    replies: VecDeque<Reply>,
}

/// It listens on 127.0.0.1.
pub struct TestCdn {
    pub address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
    server: JoinHandle<()>,
}

impl TestCdn {
    pub async fn start() -> Self {
        Self::at("127.0.0.1:0").await
    }

    pub async fn at(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let inner = Arc::new(Mutex::new(Inner::default()));
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&inner));
        let server =
            tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
        Self {
            address,
            inner,
            server,
        }
    }

    /// A client of the distribution as the service makes it.
    pub fn client(&self) -> CloudFront {
        client(self.address)
    }

    /// What the next calls are answered.
    pub fn replies(&self, replies: impl IntoIterator<Item = Reply>) {
        self.inner().replies.extend(replies);
    }

    /// How often it was asked.
    pub fn tries(&self) -> usize {
        self.inner().tries
    }

    /// What it was told to forget, each time.
    pub fn told(&self) -> Vec<Vec<String>> {
        self.inner().told.values().cloned().collect()
    }

    /// What it was told, when it was told anything so often.
    pub async fn times(&self, times: usize) -> Vec<Vec<String>> {
        until(async || self.inner().told.len() >= times).await;
        let told = self.told();
        assert_eq!(told.len(), times);
        told
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("CDN")
    }
}

impl Drop for TestCdn {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A client of the distribution at an address.
pub fn client(address: SocketAddr) -> CloudFront {
    let distribution = Distribution {
        id: DISTRIBUTION.into(),
        endpoint: Some(format!("http://{address}").parse().expect("an address")),
    };
    let credentials = Credentials::new("test-access", "test-secret", None, None, "test");
    CloudFront::with_credentials(distribution, SharedCredentialsProvider::new(credentials))
}

async fn answer(
    State(inner): State<Arc<Mutex<Inner>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> Response {
    assert_eq!(method, Method::POST);
    let path = format!("/2020-05-31/distribution/{DISTRIBUTION}/invalidation");
    assert_eq!(uri.path(), path);
    let signed = headers["authorization"].to_str().expect("text");
    assert!(signed.contains("/us-east-1/cloudfront/aws4_request"));
    let reply = {
        let mut inner = inner.lock().expect("CDN");
        inner.tries += 1;
        inner.replies.pop_front()
    };
    match &reply {
        Some(Reply::Status(status)) => {
            return StatusCode::from_u16(*status)
                .expect("status")
                .into_response();
        }
        Some(Reply::Busy) => return refusal("TooManyInvalidationsInProgress"),
        Some(Reply::Lost | Reply::Held(_)) | None => {}
    }
    let references = texts(&body, "CallerReference");
    let [reference] = references.as_slice() else {
        return refusal("MalformedXML");
    };
    let paths = texts(&body, "Path");
    assert_eq!(texts(&body, "Quantity"), [paths.len().to_string()]);
    {
        let mut inner = inner.lock().expect("CDN");
        let known = inner.told.entry(reference.clone());
        if *known.or_insert_with(|| paths.clone()) != paths {
            return refusal("InvalidationBatchAlreadyExists");
        }
    }
    match reply {
        Some(Reply::Lost) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Some(Reply::Held(told)) => told.notified().await,
        _ => {}
    }
    let created = format!(
        "<Invalidation><Id>I1</Id><Status>InProgress</Status>\
         <CreateTime>2026-01-01T00:00:00Z</CreateTime>{body}</Invalidation>"
    );
    (StatusCode::CREATED, created).into_response()
}

fn refusal(code: &str) -> Response {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>No</Message></Error>\
         <RequestId>1</RequestId></ErrorResponse>"
    );
    (StatusCode::BAD_REQUEST, body).into_response()
}

/// What stands in the elements of a name, in XML without surprises.
fn texts(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let texts = xml.split(&open).skip(1);
    let texts = texts.filter_map(|rest| Some(rest.split_once(&close)?.0.to_owned()));
    texts.collect()
}
