//! Sockets: how many callers are let in, and how long each may take to say what they want.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// What one listener has for its callers.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; who comes when there are as many waits in the system's own queue.
    pub connections: usize,
    /// How long a request's head may take, from the connection or the answer before it: so an idle
    /// connection ends then, too.
    pub head: Duration,
}

impl Limits {
    /// With a minute and a quarter for a head. Load balancers keep idle connections for a minute:
    /// the side that sends requests must be the first to end one, or some meet a closed door.
    #[must_use]
    pub fn of(connections: usize) -> Self {
        Self {
            connections,
            head: Duration::from_secs(75),
        }
    }
}

/// Answers whoever comes, by HTTP/1.1, until `closing` returns; then the answers that are being sent
/// are sent to their end, and nobody else is let in.
pub async fn serve(
    mut listener: TcpListener,
    router: Router,
    limits: Limits,
    closing: impl Future<Output = ()>,
) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let (close, _) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut closing = pin!(closing);
    loop {
        let next = async {
            // Never closed.
            let permit = Arc::clone(&room).acquire_owned().await.ok();
            // Where the system has no more sockets it tries again in a second.
            (permit, Listener::accept(&mut listener).await.0)
        };
        tokio::select! {
            (permit, stream) = next => {
                let connection = answer(stream, router.clone(), limits.head, close.subscribe());
                connections.spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
            Some(_) = connections.join_next() => {}
            () = &mut closing => break,
        }
    }
    drop(listener);
    close.send_replace(true);
    while connections.join_next().await.is_some() {}
}

async fn answer(
    stream: TcpStream,
    router: Router,
    head: Duration,
    mut closed: watch::Receiver<bool>,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    // Whatever ends a connection, there is nobody left to be told.
    tokio::select! {
        ended = connection.as_mut() => return drop(ended),
        _ = closed.wait_for(|closed| *closed) => connection.as_mut().graceful_shutdown(),
    }
    drop(connection.await);
}
