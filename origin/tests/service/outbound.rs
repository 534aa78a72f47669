//! Servers that callers name are asked where they may be, and nowhere else.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::HeaderMap;
use darkroom_origin::outbound::{Lookup, Outbound, OutboundError};
use darkroom_shared::outside::Reach;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use crate::support::receiver::{Receiver, Reply};
use crate::support::{LIMIT, outbound};

/// Answers each question anew, and counts them.
#[derive(Debug, Default)]
struct Fickle {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    names: Mutex<Vec<String>>,
}

impl Lookup for Fickle {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        self.names.lock().expect("names").push(name);
        let answer = self.answers.lock().expect("answers").pop_front();
        Box::pin(async { answer.ok_or_else(|| io::Error::other("no such name")) })
    }
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    let parse = |text: &&str| text.parse().expect("an address");
    texts.iter().map(parse).collect()
}

async fn get(outbound: &Outbound, url: &str) -> Result<u16, OutboundError> {
    let fetched = outbound.get(url, 1000, LIMIT).await;
    fetched.map(|fetched| fetched.status)
}

#[tokio::test]
async fn what_a_name_resolves_to_is_judged_and_pinned() {
    let inner = Receiver::start().await;
    let port = inner.address.port();
    let allowed = Receiver::at(&format!("127.0.0.2:{port}")).await;
    let lookup = Arc::new(Fickle::default());
    lookup.answers.lock().expect("answers").extend([
        addresses(&["127.0.0.2"]),
        addresses(&["127.0.0.1"]),
        addresses(&["127.0.0.1", "127.0.0.2"]),
        addresses(&["10.0.0.1", "169.254.169.254", "::1"]),
    ]);
    let reach = Reach::parse("127.0.0.2").expect("a network");
    let outbound = Outbound::new(reach, lookup.clone()).expect("clients");
    let url = format!("http://rebind.example:{port}/");

    // Asked once, and connected to that.
    assert_eq!(get(&outbound, &url).await.expect("answered"), 204);
    assert_eq!(lookup.names.lock().expect("names").len(), 1);
    // The next answer is another.
    let refused = get(&outbound, &url).await;
    assert!(
        matches!(refused, Err(OutboundError::NotAllowed)),
        "{refused:?}"
    );
    // Of several, those that may be reached.
    assert_eq!(get(&outbound, &url).await.expect("answered"), 204);
    let secure = get(&outbound, "https://rebind.example/").await;
    assert!(
        matches!(secure, Err(OutboundError::NotAllowed)),
        "{secure:?}"
    );
    let unknown = get(&outbound, &url).await;
    assert!(
        matches!(unknown, Err(OutboundError::Unreachable(_))),
        "{unknown:?}"
    );
    assert_eq!(inner.asked().len(), 0);
    assert_eq!(allowed.asked().len(), 2);
}

#[tokio::test]
async fn public_servers_are_not_asked_without_tls() {
    let lookup = Arc::new(Fickle::default());
    let answers = [addresses(&["8.8.8.8"])];
    lookup.answers.lock().expect("answers").extend(answers);
    let reach = Reach::parse("127.0.0.1").expect("a network");
    let outbound = Outbound::new(reach, lookup).expect("clients");
    let refused = get(&outbound, "http://public.example/").await;
    assert!(
        matches!(refused, Err(OutboundError::NotAllowed)),
        "{refused:?}"
    );
}

#[tokio::test]
async fn numbers_are_judged_too() {
    let strict = Outbound::new(Reach::default(), Fickle::default()).expect("clients");
    let receiver = Receiver::start().await;
    let port = receiver.address.port();
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "[::ffff:127.0.0.1]",
        "localhost",
    ] {
        for scheme in ["http", "https"] {
            let refused = get(&strict, &format!("{scheme}://{host}:{port}/")).await;
            assert!(
                matches!(refused, Err(OutboundError::NotAllowed)),
                "{host}: {refused:?}"
            );
        }
    }
    assert_eq!(receiver.asked().len(), 0);
    let allowed = get(&outbound(), &format!("http://localhost:{port}/")).await;
    assert_eq!(allowed.expect("answered"), 204);
}

#[tokio::test]
async fn nobody_sends_us_elsewhere() {
    let (first, second) = (Receiver::start().await, Receiver::start().await);
    first.replies([Reply::Redirect(second.url()), Reply::Redirect(second.url())]);
    let outbound = outbound();
    assert_eq!(get(&outbound, &first.url()).await.expect("answered"), 302);
    let url = first.url();
    let posted = outbound.post_json(&url, HeaderMap::new(), b"{}".to_vec(), LIMIT);
    assert_eq!(posted.await.expect("answered").status, 302);
    assert_eq!(second.asked().len(), 0);
}

#[tokio::test]
async fn time_and_size_are_bounded() {
    let receiver = Receiver::start().await;
    let never = Arc::new(Notify::new());
    receiver.replies([
        Reply::Held(Arc::clone(&never)),
        Reply::File(vec![0; 1001]),
        Reply::Chunked(vec![0; 1 << 20]),
        Reply::File(vec![7; 1000]),
    ]);
    let outbound = outbound();
    let url = receiver.url();
    let slow = outbound.get(&url, 1000, Duration::from_millis(200)).await;
    assert!(matches!(slow, Err(OutboundError::TimedOut)), "{slow:?}");
    for _ in 0..2 {
        let large = outbound.get(&url, 1000, LIMIT).await;
        assert!(
            matches!(large, Err(OutboundError::TooLarge { most: 1000 })),
            "{large:?}"
        );
    }
    let whole = outbound.get(&url, 1000, LIMIT).await.expect("fetched");
    assert_eq!((whole.status, whole.body), (200, vec![7; 1000]));
}
