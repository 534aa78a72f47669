//! What a collector is told of a job, and that a job does not need one.

use std::collections::BTreeMap;
use std::sync::Arc;

use darkroom_origin::traces::Traces;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::support::call::Call;
use crate::support::collector::{Collector, Told};
use crate::support::receiver::{Receiver, Reply};
use crate::support::{Origin, Setup};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const EDGE: &str = "00f067aa0ba902b7";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{EDGE}-{flags}")
}

fn told_to(url: &str) -> Setup {
    Setup {
        traces: Traces::to(url).expect("a client"),
        ..Setup::default()
    }
}

/// How many spans of each name there are.
fn names(spans: &[Told]) -> BTreeMap<&str, usize> {
    let mut names = BTreeMap::new();
    for span in spans {
        *names.entry(&*span.name).or_default() += 1;
    }
    names
}

#[tokio::test]
async fn a_jobs_way_is_one_trace_under_the_edges_span() {
    let (collector, receiver) = (Collector::start().await, Receiver::start().await);
    let origin = Origin::start(told_to(&collector.url())).await;
    let body = json!({
        "prompt": "a wish of mine", "task_id": "a label of mine", "n": 2,
        "webhook_url": receiver.url(),
    });
    let call = Call::generate(&body).header("traceparent", &traceparent("01"));
    let job = origin.call(call).await.json().await;
    assert_eq!(job["job"]["status"], "succeeded");
    receiver.times(1).await;
    origin.stop().await;

    let spans = collector.spans(TRACE);
    let expected = [
        ("POST /api/media/generate-image", 1),
        ("accept", 1),
        ("attempt", 1),
        ("claim", 1),
        ("decode", 2),
        ("encode", 2),
        ("queue", 1),
        ("spool", 2),
        ("steps", 2),
        ("text", 2),
        ("upload", 2),
        ("webhook", 1),
    ];
    assert_eq!(names(&spans), BTreeMap::from(expected));
    let one = |name: &str| spans.iter().find(|span| span.name == name).expect("there");
    let request = one("POST /api/media/generate-image");
    assert_eq!(request.parent, EDGE);
    let attempt = one("attempt");
    for span in &spans {
        let parent = match &*span.name {
            "POST /api/media/generate-image" => EDGE,
            "accept" | "queue" | "attempt" | "webhook" => &request.id,
            _ => &attempt.id,
        };
        assert_eq!(span.parent, parent, "{span:?}");
    }
    let id = job["job"]["id"].as_str().expect("id");
    assert!(
        attempt
            .attributes
            .contains(&format!("darkroom.job.id={id}\n"))
    );
    let status = "http.response.status_code=204\n";
    assert!(one("webhook").attributes.contains(status));
    for words in ["a wish of mine", "a label of mine", "alice", "/hook"] {
        assert!(!collector.has_read(words), "{words}");
    }
}

#[tokio::test]
async fn what_failed_says_by_which_code() {
    let collector = Collector::start().await;
    let origin = Origin::start(told_to(&collector.url())).await;
    let call = Call::generate(&json!({ "prompt": "invalid" }));
    let call = call.header("traceparent", &traceparent("01"));
    origin.call(call).await.problem("invalid_request").await;
    origin.stop().await;
    let spans = collector.spans(TRACE);
    let attempt = spans.iter().find(|span| span.name == "attempt");
    let attributes = &attempt.expect("an attempt").attributes;
    assert!(attributes.contains("error.type=invalid_request\n"));
}

#[tokio::test]
async fn a_job_whose_caller_names_no_trace_begins_one() {
    let collector = Collector::start().await;
    let origin = Origin::start(told_to(&collector.url())).await;
    let call = Call::generate(&json!({ "prompt": "p" }));
    assert_eq!(origin.call(call).await.status, 200);
    origin.stop().await;
    let spans = collector.all();
    let request = spans.iter().find(|span| span.name.starts_with("POST"));
    let request = request.expect("a request");
    assert_eq!(request.parent, "");
    let attempt = spans.iter().find(|span| span.name == "attempt");
    let attempt = attempt.expect("an attempt");
    assert_eq!(
        (&attempt.trace, &attempt.parent),
        (&request.trace, &request.id)
    );
}

#[tokio::test]
async fn a_trace_that_is_not_to_be_recorded_is_not() {
    let collector = Collector::start().await;
    let origin = Origin::start(told_to(&collector.url())).await;
    for flags in ["00", "01"] {
        let call = Call::get("/api/models").header("traceparent", &traceparent(flags));
        assert_eq!(origin.call(call).await.status, 200);
    }
    // Nobody wants to be told of every look at how it is.
    assert_eq!(origin.call(Call::get("/readyz")).await.status, 200);
    origin.stop().await;
    assert_eq!(collector.all().len(), 1);
}

#[tokio::test]
async fn a_job_needs_no_collector() {
    let dead = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let nobody = format!(
        "http://{}/v1/traces",
        dead.local_addr().expect("an address")
    );
    drop(dead);
    let (slow, never) = (Receiver::start().await, Arc::new(Notify::new()));
    slow.replies([(); 100].map(|()| Reply::Held(Arc::clone(&never))));
    let broken = Receiver::start().await;
    broken.replies([(); 100].map(|()| Reply::Status(500)));
    for url in [nobody, slow.url(), broken.url()] {
        let origin = Origin::start(told_to(&url)).await;
        let call = Call::generate(&json!({ "prompt": "p" }));
        let job = origin.call(call).await.json().await;
        assert_eq!(job["job"]["status"], "succeeded", "{url}");
        origin.stop().await;
    }
    for collector in [slow, broken] {
        assert!(!collector.asked().is_empty());
    }
}
