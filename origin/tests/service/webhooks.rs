//! Callers are told how their jobs ended.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use axum::http::{Method, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use darkroom_origin::outbound::{Lookup, Outbound};
use darkroom_origin::webhooks::SealingKeys;
use darkroom_shared::outside::Reach;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use standardwebhooks::Webhook;
use tokio::sync::Notify;

use crate::support::call::Call;
use crate::support::engine::StubEngine;
use crate::support::receiver::{Asked, Receiver, Reply};
use crate::support::{Origin, Setup, database, tls, until};

async fn secret(origin: &Origin, method: Method, caller: &str) -> Value {
    let call = Call::new(method, "/api/webhooks/secret").by(caller);
    let answer = origin.call(call).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.json().await
}

async fn deliveries(origin: &Origin, caller: &str) -> Vec<Value> {
    let call = Call::get("/api/webhooks/deliveries").by(caller);
    let mut page = origin.call(call).await.json().await;
    let items = page["items"].take();
    items.as_array().expect("a list").clone()
}

/// Waits until the newest delivery's attempts have been answered so.
async fn attempts(origin: &Origin, expected: &[u16]) -> Value {
    let answered = async || {
        let newest = deliveries(origin, "alice").await.into_iter().next();
        newest.filter(|newest| {
            let attempts = newest["attempts"].as_array().expect("a list");
            attempts.len() >= expected.len()
        })
    };
    until(async || answered().await.is_some()).await;
    let newest = answered().await.expect("a delivery");
    let found: Vec<_> = newest["attempts"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|attempt| &attempt["status"])
        .collect();
    assert_eq!(found, expected);
    newest
}

/// Lets all pauses and leases be over.
async fn time_passes(folder: &Path) {
    sqlx::query("UPDATE webhook_deliveries SET due_at = 0")
        .execute(&mut database(folder).await)
        .await
        .expect("updated");
}

async fn resend(origin: &Origin, id: &Value, caller: &str) -> StatusCode {
    let path = format!(
        "/api/webhooks/deliveries/{}/resend",
        id.as_str().expect("id")
    );
    origin
        .call(Call::new(Method::POST, &path).by(caller))
        .await
        .status
}

fn is_signed(asked: &Asked, secret: &str) -> bool {
    let webhook = Webhook::new(secret).expect("a secret");
    let by_the_crate = webhook.verify(&asked.body, &asked.headers).is_ok();
    assert_eq!(by_the_crate, is_signed_by_hand(asked, secret));
    by_the_crate
}

/// HMAC-SHA-256 as RFC 2104 writes it, over what the specification says.
fn is_signed_by_hand(asked: &Asked, secret: &str) -> bool {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").expect("prefix"));
    let mut block = key.expect("base64");
    block.resize(64, 0);
    let padded = |with: u8| block.iter().map(|byte| byte ^ with).collect::<Vec<_>>();
    let inner = Sha256::new()
        .chain_update(padded(0x36))
        .chain_update(asked.header("webhook-id"))
        .chain_update(".")
        .chain_update(asked.header("webhook-timestamp"))
        .chain_update(".")
        .chain_update(&asked.body)
        .finalize();
    let outer = Sha256::new()
        .chain_update(padded(0x5c))
        .chain_update(inner)
        .finalize();
    let signature = format!("v1,{}", STANDARD.encode(outer));
    asked
        .header("webhook-signature")
        .split(' ')
        .any(|signed| signed == signature)
}

/// Every name is this machine's.
#[derive(Debug)]
struct Here;

impl Lookup for Here {
    fn lookup(&self, _: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async { Ok(vec![Ipv4Addr::LOCALHOST.into()]) })
    }
}

#[tokio::test]
async fn a_receiver_must_prove_to_be_who_it_is_by_an_authority_that_is_trusted() {
    let receiver = Receiver::secure().await;
    let reach = || Reach::parse("127.0.0.1").expect("a network");
    let told = async |name: &str, authorities: &[_]| {
        let outbound = Outbound::trusting(reach(), Here, authorities).expect("clients");
        let origin = Origin::start(Setup {
            outbound,
            ..Setup::default()
        })
        .await;
        let url = format!("https://{name}:{}/hook", receiver.address.port());
        let job = origin
            .submit(&json!({ "prompt": "p", "webhook_url": url }))
            .await;
        origin.finished(&job).await;
        let attempt = async || {
            let newest = deliveries(&origin, "alice").await.into_iter().next();
            newest.and_then(|newest| newest["attempts"].get(0).cloned())
        };
        until(async || attempt().await.is_some()).await;
        let attempt = attempt().await.expect("an attempt");
        origin.stop().await;
        attempt["status"].clone()
    };
    let ours = [tls::authority()];
    assert_eq!(told("receiver.test", &[]).await, Value::Null);
    assert_eq!(told("another.test", &ours).await, Value::Null);
    assert_eq!(receiver.asked().len(), 0);
    assert_eq!(told("receiver.test", &ours).await, 204);
    assert_eq!(receiver.asked().len(), 1);
}

#[tokio::test]
async fn secrets_lie_sealed_and_keys_rotate() {
    let folder = tempfile::tempdir().expect("folder");
    let start = async |keys: &[&str]| {
        let key = |id: &&str| format!("{id}:{}", id.repeat(64));
        let keys: Vec<_> = keys.iter().map(key).collect();
        let webhook_keys = if keys.is_empty() {
            SealingKeys::default()
        } else {
            SealingKeys::parse(&keys.join(",")).expect("keys")
        };
        let setup = Setup {
            webhook_keys,
            ..Setup::default()
        };
        Origin::start_in(folder.path(), setup).await
    };
    let shown = async |keys: &[&str]| {
        let origin = start(keys).await;
        let of = async |caller| secret(&origin, Method::GET, caller).await["secret"].take();
        let shown = (of("alice").await, of("bob").await);
        origin.stop().await;
        shown
    };
    let stored = async || -> Vec<(String, Option<String>)> {
        let rows = sqlx::query_as("SELECT secret, previous FROM webhook_secrets");
        let mut database = database(folder.path()).await;
        rows.fetch_all(&mut database).await.expect("read")
    };
    let origin = start(&[]).await;
    for _ in 0..2 {
        secret(&origin, Method::POST, "alice").await;
    }
    origin.stop().await;
    let plain = shown(&[]).await;
    let rows = stored().await;
    assert!(rows.iter().all(|(secret, _)| secret.starts_with("whsec_")));
    for (keys, first) in [(&["a"][..], "a"), (&["b", "a"], "b"), (&["b"], "b")] {
        assert_eq!(shown(keys).await, plain);
        let sealed = |text: &String| text.starts_with(&format!("sealed:{first}:"));
        let rows = stored().await;
        assert_eq!(rows.iter().filter(|(secret, _)| sealed(secret)).count(), 2);
        let previous = rows.iter().filter_map(|(_, previous)| previous.as_ref());
        assert_eq!(previous.filter(|text| sealed(text)).count(), 1);
    }
}

#[tokio::test]
async fn every_end_is_told_signed() {
    let origin = Origin::start(Setup::default()).await;
    let receiver = Receiver::start().await;
    let told = json!({ "prompt": "a fox", "task_id": "mine", "webhook_url": receiver.url() });
    let job = origin.submit(&told).await;
    let job = origin.finished(&job).await;
    let asked = receiver.times(1).await.remove(0);
    let secret = secret(&origin, Method::GET, "alice").await["secret"].take();
    let secret = secret.as_str().expect("a secret");
    assert!(is_signed(&asked, secret));
    assert_eq!(asked.header("content-type"), "application/json");
    let event = asked.json();
    assert_eq!(event["type"], "job.succeeded");
    assert_eq!(event["timestamp"], job["finished_at"]);
    assert_eq!(event["data"], job);
    let newest = attempts(&origin, &[204]).await;
    assert_eq!(newest["state"], "delivered");
    assert_eq!(newest["id"], asked.header("webhook-id"));
    assert_eq!(newest["job_id"], job["id"]);
    assert_eq!(newest["next_attempt_at"], Value::Null);

    let fails = json!({ "prompt": "invalid", "webhook_url": receiver.url() });
    let fails = origin.submit(&fails).await;
    let asked = receiver.times(2).await.remove(1);
    assert!(is_signed(&asked, secret));
    assert_eq!(asked.json()["type"], "job.failed");
    assert_eq!(asked.json()["data"]["id"], fails);
    // Nobody asked to be told.
    let untold = origin.submit(&json!({ "prompt": "p" })).await;
    origin.finished(&untold).await;
    assert_eq!(deliveries(&origin, "alice").await.len(), 2);
    origin.stop().await;
}

#[tokio::test]
async fn an_event_is_tried_again_under_its_id_and_no_redirect_is_followed() {
    let folder = tempfile::tempdir().expect("folder");
    let origin = Origin::start_in(folder.path(), Setup::default()).await;
    let (receiver, elsewhere) = (Receiver::start().await, Receiver::start().await);
    receiver.replies([
        Reply::Status(500),
        Reply::Redirect(elsewhere.url()),
        Reply::Status(404),
    ]);
    let told = json!({ "prompt": "p", "webhook_url": receiver.url() });
    origin.submit(&told).await;
    let mut statuses = Vec::new();
    for status in [500, 302, 404, 204] {
        statuses.push(status);
        let newest = attempts(&origin, &statuses).await;
        let is_over = status == 204;
        assert_eq!(
            newest["state"],
            if is_over { "delivered" } else { "pending" }
        );
        assert_eq!(newest["next_attempt_at"].is_null(), is_over);
        time_passes(folder.path()).await;
    }
    let asked = receiver.times(4).await;
    let id = asked[0].header("webhook-id");
    assert!(asked.iter().all(|asked| asked.header("webhook-id") == id));
    assert!(asked.iter().all(|one| one.body == asked[0].body));
    assert_eq!(elsewhere.asked().len(), 0);
    origin.stop().await;
}

#[tokio::test]
async fn after_ten_attempts_it_has_failed_until_it_is_asked_for_again() {
    let folder = tempfile::tempdir().expect("folder");
    let origin = Origin::start_in(folder.path(), Setup::default()).await;
    let receiver = Receiver::start().await;
    receiver.replies((0..10).map(|_| Reply::Status(503)));
    let told = json!({ "prompt": "p", "webhook_url": receiver.url() });
    origin.submit(&told).await;
    let mut newest = Value::Null;
    for times in 1..=10 {
        newest = attempts(&origin, &vec![503; times]).await;
        assert_eq!(
            newest["state"],
            if times == 10 { "failed" } else { "pending" }
        );
        time_passes(folder.path()).await;
    }
    assert_eq!(
        resend(&origin, &newest["id"], "bob").await,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        resend(&origin, &newest["id"], "alice").await,
        StatusCode::NO_CONTENT
    );
    let asked = receiver.times(11).await;
    assert_eq!(
        asked[10].header("webhook-id"),
        newest["id"].as_str().expect("id")
    );
    until(async || deliveries(&origin, "alice").await[0]["state"] == "delivered").await;
    assert_eq!(deliveries(&origin, "bob").await.len(), 0);
    origin.stop().await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_told_nothing_more_until_it_takes_one_again() {
    let origin = Origin::start(Setup::default()).await;
    let receiver = Receiver::start().await;
    receiver.replies([Reply::Status(410)]);
    let told = json!({ "prompt": "p", "webhook_url": receiver.url() });
    origin.submit(&told).await;
    let gone = attempts(&origin, &[410]).await;
    assert_eq!(gone["state"], "disabled");
    let second = origin.submit(&told).await;
    origin.finished(&second).await;
    let both = deliveries(&origin, "alice").await;
    assert_eq!(both[0]["state"], "disabled");
    assert_eq!(both[0]["attempts"], json!([]));
    // Another account's word is its own.
    let bobs = Call::generate(&told).by("bob");
    origin.call(bobs).await;
    receiver.times(2).await;
    assert_eq!(
        resend(&origin, &both[0]["id"], "alice").await,
        StatusCode::NO_CONTENT
    );
    receiver.times(3).await;
    until(async || deliveries(&origin, "alice").await[0]["state"] == "delivered").await;
    origin.submit(&told).await;
    receiver.times(4).await;
    origin.stop().await;
}

#[tokio::test]
async fn a_secret_that_was_rotated_signs_beside_the_new_one_for_a_while() {
    let folder = tempfile::tempdir().expect("folder");
    let origin = Origin::start_in(folder.path(), Setup::default()).await;
    let receiver = Receiver::start().await;
    let old = secret(&origin, Method::GET, "alice").await;
    assert_eq!(old["previous_until"], Value::Null);
    let new = secret(&origin, Method::POST, "alice").await;
    assert!(new["previous_until"].is_string());
    let bobs = secret(&origin, Method::POST, "bob").await;
    assert_eq!(secret(&origin, Method::GET, "alice").await, new);
    let told = json!({ "prompt": "p", "webhook_url": receiver.url() });
    origin.submit(&told).await;
    let asked = receiver.times(1).await.remove(0);
    let text = |secret: &Value| secret["secret"].as_str().expect("a secret").to_owned();
    let signed = |asked: &Asked, by: &Value| is_signed(asked, &text(by));
    assert!(signed(&asked, &old) && signed(&asked, &new) && !signed(&asked, &bobs));

    let ended = "UPDATE webhook_secrets SET previous_until = 1 WHERE account = 'alice'";
    sqlx::query(ended)
        .execute(&mut database(folder.path()).await)
        .await
        .expect("updated");
    origin.submit(&told).await;
    let asked = receiver.times(2).await.remove(1);
    assert!(!signed(&asked, &old) && signed(&asked, &new));
    origin.stop().await;
}

#[tokio::test]
async fn what_a_dead_process_may_have_sent_is_sent_again_under_the_same_id() {
    let folder = tempfile::tempdir().expect("folder");
    let dead = Origin::start_in(folder.path(), Setup::default()).await;
    let (receiver, other) = (Receiver::start().await, Receiver::start().await);
    let never = Arc::new(Notify::new());
    receiver.replies([Reply::Held(never)]);
    let told = |receiver: &Receiver| json!({ "prompt": "p", "webhook_url": receiver.url() });
    dead.submit(&told(&receiver)).await;
    receiver.times(1).await;
    // A receiver that takes its time holds up no other.
    dead.submit(&told(&other)).await;
    other.times(1).await;
    until(async || deliveries(&dead, "alice").await[0]["state"] == "delivered").await;
    // The receiver has it; nobody has written that down.
    drop(dead);
    let next = Origin::start_in(folder.path(), Setup::default()).await;
    time_passes(folder.path()).await;
    let asked = receiver.times(2).await;
    assert_eq!(asked[0].header("webhook-id"), asked[1].header("webhook-id"));
    assert_eq!(asked[0].body, asked[1].body);
    until(async || deliveries(&next, "alice").await[1]["state"] == "delivered").await;
    assert_eq!(other.asked().len(), 1);
    next.stop().await;
}

#[tokio::test]
async fn two_origins_of_one_database_send_an_event_once() {
    let folder = tempfile::tempdir().expect("folder");
    let first = Origin::start_in(folder.path(), Setup::default()).await;
    let own = tempfile::tempdir().expect("folder");
    let setup = Setup {
        shares: Some(folder.path().to_owned()),
        ..Setup::default()
    };
    let second = Origin::start_in(own.path(), setup).await;
    let receiver = Receiver::start().await;
    let told = json!({ "prompt": "p", "webhook_url": receiver.url() });
    for _ in 0..10 {
        first.submit(&told).await;
    }
    let all_told = async || {
        let told = deliveries(&first, "alice").await;
        told.len() == 10 && told.iter().all(|told| told["state"] == "delivered")
    };
    until(all_told).await;
    receiver.times(10).await;
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn who_shares_a_job_is_told_where_it_says_and_who_leaves_is_not() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine).await;
    let [alice, bob, carol, dave] = [
        Receiver::start().await,
        Receiver::start().await,
        Receiver::start().await,
        Receiver::start().await,
    ];
    let told = json!({ "prompt": "p", "seed": 1, "webhook_url": alice.url() });
    let job = origin.submit(&told).await;
    let join = async |caller: &str, receiver: &Receiver| {
        let label = json!({ "task_id": caller, "webhook_url": receiver.url() });
        let call = Call::new(Method::POST, &format!("/api/jobs/{job}/readers"));
        origin.call(call.json(&label).by(caller)).await.status
    };
    assert_eq!(join("bob", &bob).await, StatusCode::NO_CONTENT);
    assert_eq!(join("carol", &carol).await, StatusCode::NO_CONTENT);
    // The one who began it leaves, and one who joined.
    for caller in ["alice", "carol"] {
        let call = Call::delete(&format!("/api/jobs/{job}")).by(caller);
        origin.call(call).await;
    }
    gate.open();
    let asked = bob.times(1).await.remove(0);
    assert_eq!(asked.json()["data"]["task_id"], "bob");
    // It has ended: who joins now is told at once, and once.
    for _ in 0..2 {
        assert_eq!(join("dave", &dave).await, StatusCode::NO_CONTENT);
    }
    dave.times(1).await;
    until(async || deliveries(&origin, "dave").await[0]["state"] == "delivered").await;
    assert_eq!(deliveries(&origin, "dave").await.len(), 1);
    assert_eq!(alice.asked().len() + carol.asked().len(), 0);

    let inner = json!({ "webhook_url": "https://10.0.0.1/" });
    let call = Call::new(Method::POST, &format!("/api/jobs/{job}/readers"));
    let answer = origin.call(call.json(&inner)).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    origin.stop().await;
}

#[tokio::test]
async fn what_is_no_longer_an_accounts_is_not_tried_for_ever() {
    let folder = tempfile::tempdir().expect("folder");
    let origin = Origin::start_in(folder.path(), Setup::default()).await;
    let receiver = Receiver::start().await;
    receiver.replies([Reply::Status(500)]);
    let told = json!({ "prompt": "p", "seed": 1, "webhook_url": receiver.url() });
    origin.submit(&told).await;
    attempts(&origin, &[500]).await;
    // As when its account gives the job up to another in the moment in which it ends.
    sqlx::query("UPDATE jobs SET account = 'bob'")
        .execute(&mut database(folder.path()).await)
        .await
        .expect("updated");
    time_passes(folder.path()).await;
    until(async || deliveries(&origin, "alice").await[0]["state"] == "failed").await;
    assert_eq!(receiver.asked().len(), 1);
    origin.stop().await;
}

#[tokio::test]
async fn a_job_that_is_called_off_is_told_of_as_canceled() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine).await;
    let receiver = Receiver::start().await;
    let told = json!({ "prompt": "p", "webhook_url": receiver.url() });
    let job = origin.submit(&told).await;
    origin.call(Call::delete(&format!("/api/jobs/{job}"))).await;
    let asked = receiver.times(1).await.remove(0);
    assert_eq!(asked.json()["type"], "job.canceled");
    gate.open();
    origin.stop().await;
}

#[tokio::test]
async fn a_receiver_that_says_when_is_left_alone_until_then() {
    let folder = tempfile::tempdir().expect("folder");
    let origin = Origin::start_in(folder.path(), Setup::default()).await;
    let (receiver, other) = (Receiver::start().await, Receiver::start().await);
    let told = |receiver: &Receiver| json!({ "prompt": "p", "webhook_url": receiver.url() });
    receiver.replies((0..6).map(|_| Reply::Later("7200")));
    for _ in 0..6 {
        let job = origin.submit(&told(&receiver)).await;
        origin.finished(&job).await;
    }
    let mut rows = database(folder.path()).await;
    let mut pauses = async || -> Vec<i64> {
        let pauses = "SELECT due_at - COALESCE((SELECT MAX(at) FROM webhook_attempts), 0)
            FROM webhook_deliveries WHERE state = 'pending'";
        let pauses = sqlx::query_scalar(pauses).fetch_all(&mut rows).await;
        pauses.expect("asked")
    };
    // Each was told so itself, or heard it of another.
    let mut all_wait = async || {
        until(async || {
            let pauses = pauses().await;
            pauses.len() == 6 && pauses.iter().all(|pause| *pause >= 7_000_000)
        })
        .await;
        pauses().await.into_iter().max().expect("six")
    };
    let longest = all_wait().await;
    assert!((7_200_000..=7_920_000).contains(&longest), "{longest}");
    // Others are told.
    let before = receiver.asked().len();
    origin.submit(&told(&other)).await;
    other.times(1).await;
    assert_eq!(receiver.asked().len(), before);

    // Of six that are due, four are tried at once. The other two hear what those were told.
    receiver.replies((0..4).map(|_| Reply::Later("7200")));
    time_passes(folder.path()).await;
    all_wait().await;
    assert_eq!(receiver.asked().len(), before + 4);
    origin.stop().await;
}

#[tokio::test]
async fn a_slow_receiver_leaves_room_for_others() {
    let origin = Origin::start(Setup::default()).await;
    let (slow, other) = (Receiver::start().await, Receiver::start().await);
    let never = Arc::new(Notify::new());
    slow.replies((0..40).map(|_| Reply::Held(Arc::clone(&never))));
    for number in 0..40 {
        // Other addresses of the same server are no way around.
        let url = format!("{}/{number}", slow.url());
        let told = json!({ "prompt": "p", "webhook_url": url });
        let job = origin.submit(&told).await;
        origin.finished(&job).await;
    }
    until(async || slow.asked().len() >= 4).await;
    for _ in 0..3 {
        let told = json!({ "prompt": "p", "webhook_url": other.url() });
        origin.submit(&told).await;
    }
    other.times(3).await;
    assert_eq!(slow.asked().len(), 4);
    // Who answers makes room for another.
    never.notify_one();
    until(async || slow.asked().len() >= 5).await;
    origin.stop().await;
}
