//! A server of somebody else's, which does as a test says.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::serve::Listener;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::{tls, until};

/// What was asked.
#[derive(Clone)]
pub struct Asked {
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// How it answers.
pub enum Reply {
    Status(u16),
    /// 429, with when to come again.
    Later(&'static str),
    /// Leads elsewhere.
    Redirect(String),
    /// Not before it is told.
    Held(Arc<Notify>),
    File(Vec<u8>),
    /// A file whose length is not told before.
    Chunked(Vec<u8>),
}

#[derive(Default)]
struct Inner {
    asked: Vec<Asked>,
    replies: VecDeque<Reply>,
}

pub struct Receiver {
    pub address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
    server: JoinHandle<()>,
}

impl Receiver {
    pub async fn start() -> Self {
        Self::at("127.0.0.1:0").await
    }

    pub async fn at(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        Self::on(listener, address)
    }

    /// One that is `receiver.test`, as an authority says that the system does not know.
    pub async fn secure() -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = tcp.local_addr().expect("an address");
        let tls = tls::acceptor();
        Self::on(tls::Secure { tcp, tls }, address)
    }

    fn on(listener: impl Listener<Addr: Debug>, address: SocketAddr) -> Self {
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

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// What the next calls are answered; those after them 204.
    pub fn replies(&self, replies: impl IntoIterator<Item = Reply>) {
        self.inner().replies.extend(replies);
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.inner().asked.clone()
    }

    /// What was asked, when it was asked that often.
    pub async fn times(&self, times: usize) -> Vec<Asked> {
        until(async || self.inner().asked.len() >= times).await;
        let asked = self.asked();
        assert_eq!(asked.len(), times);
        asked
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("receiver")
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().expect("text")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

async fn answer(
    State(inner): State<Arc<Mutex<Inner>>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let reply = {
        let mut inner = inner.lock().expect("receiver");
        inner.asked.push(Asked { headers, body });
        inner.replies.pop_front()
    };
    match reply {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(Reply::Status(status)) => StatusCode::from_u16(status)
            .expect("status")
            .into_response(),
        Some(Reply::Later(when)) => {
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", when)]).into_response()
        }
        Some(Reply::Redirect(to)) => (StatusCode::FOUND, [("location", to)]).into_response(),
        Some(Reply::Held(told)) => {
            told.notified().await;
            StatusCode::NO_CONTENT.into_response()
        }
        Some(Reply::File(file)) => file.into_response(),
        Some(Reply::Chunked(file)) => {
            let pieces: Vec<_> = file.chunks(64 << 10).map(Bytes::copy_from_slice).collect();
            let pieces =
                futures_util::stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
            Body::from_stream(pieces).into_response()
        }
    }
}
