//! Sockets, and those behind them who say nothing.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use darkroom_origin::listening::{Limits, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, Notify};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{LIMIT, until};

const HALF_A_HEAD: &str = "GET / HTTP/1.1\r\nhost: origin\r\nx-";
const REQUEST: &str = "GET / HTTP/1.1\r\nhost: origin\r\nconnection: close\r\n\r\n";

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("an address").to_string();
    (listener, address)
}

/// Sends a text, and returns what comes until the other side closes.
async fn said(address: &str, text: &str) -> String {
    let said = async {
        let mut stream = TcpStream::connect(address).await.expect("listening");
        stream.write_all(text.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        // Who is cut off may hear it as an error.
        drop(stream.read_to_string(&mut answer).await);
        answer
    };
    timeout(LIMIT, said).await.expect("in time")
}

#[tokio::test]
async fn who_does_not_say_what_they_want_makes_room_for_others() {
    let (listener, address) = listener().await;
    let limits = Limits {
        connections: 2,
        head: Duration::from_millis(300),
    };
    let router = Router::new().route("/", get(async || "hello"));
    let server = tokio::spawn(serve(listener, router, limits, pending()));
    let mut slow = JoinSet::new();
    for text in [HALF_A_HEAD, "", HALF_A_HEAD] {
        let address = address.clone();
        slow.spawn(async move { said(&address, text).await });
    }
    let answer = said(&address, REQUEST).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with("hello"), "{answer}");
    for answer in slow.join_all().await {
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    server.abort();
}

#[tokio::test]
async fn no_more_are_let_in_than_there_is_room_for() {
    const ROOM: usize = 2;
    let (listener, address) = listener().await;
    let (inside, most) = (AtomicUsize::default(), AtomicUsize::default());
    let here = Arc::new((inside, most, Barrier::new(ROOM)));
    let seen = Arc::clone(&here);
    let handler = async move || {
        let (inside, most, both) = &*here;
        most.fetch_max(1 + inside.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
        both.wait().await;
        inside.fetch_sub(1, Ordering::SeqCst);
    };
    let router = Router::new().route("/", get(handler));
    let server = tokio::spawn(serve(listener, router, Limits::of(ROOM), pending()));
    let mut calls = JoinSet::new();
    for _ in 0..3 * ROOM {
        let address = address.clone();
        calls.spawn(async move { said(&address, REQUEST).await });
    }
    for answer in calls.join_all().await {
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert_eq!(seen.1.load(Ordering::SeqCst), ROOM);
    server.abort();
}

#[tokio::test]
async fn answers_that_are_on_their_way_are_sent_to_their_end() {
    let (listener, address) = listener().await;
    let (come, close, go) = (Notify::new(), Notify::new(), Notify::new());
    let signs = Arc::new((come, close, go));
    let handler = {
        let signs = Arc::clone(&signs);
        async move || {
            signs.0.notify_one();
            signs.2.notified().await;
            "hello"
        }
    };
    let router = Router::new().route("/", get(handler));
    let closing = {
        let signs = Arc::clone(&signs);
        async move { signs.1.notified().await }
    };
    let server = tokio::spawn(serve(listener, router, Limits::of(9), closing));
    let called = address.clone();
    let call = tokio::spawn(async move { said(&called, REQUEST).await });
    signs.0.notified().await;
    signs.1.notify_one();
    // It closes, with an answer still to give.
    until(async || TcpStream::connect(&address).await.is_err()).await;
    signs.2.notify_one();
    assert!(call.await.expect("no panic").ends_with("hello"));
    let ended = timeout(LIMIT, server).await;
    ended.expect("in time").expect("no panic");
}
