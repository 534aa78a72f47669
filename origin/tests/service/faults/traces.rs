//! A trace outlives the process that began it.

use serde_json::json;
use uuid::Uuid;

use super::world::{Start, World};
use crate::support::call::Call;
use crate::support::collector::Collector;
use crate::support::until;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// By the standard variables alone, as an operator names a collector.
fn told_to(collector: &Collector) -> Start {
    let environment = vec![
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector.url()),
        ("OTEL_BSP_SCHEDULE_DELAY", "10".to_owned()),
    ];
    Start {
        environment,
        ..Start::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/test faults"]
async fn a_job_of_a_killed_process_goes_on_in_its_trace() {
    let (world, collector) = (World::new().await, Collector::start().await);
    let mut origin = world.start_with("a", told_to(&collector)).await;
    let id = Uuid::new_v4();
    let mut call = Call::generate(&json!({ "prompt": "a fox", "seed": 1, "steps": 50 }))
        .header("prefer", "respond-async")
        .header("traceparent", &format!("00-{TRACE}-00f067aa0ba902b7-01"));
    call.query = format!("job={id}");
    origin.send(&call).await.expect("accepted");
    let is_at_work = |job: &serde_json::Value| job["progress"]["step"].as_u64() > Some(1);
    world.until(&origin, &id.to_string(), is_at_work).await;
    until(async || collector.spans(TRACE).len() >= 4).await;
    origin.kill();
    let before = collector.spans(TRACE);

    let origin = world.start_with("a", told_to(&collector)).await;
    let has_ended = |job: &serde_json::Value| job["status"] == "succeeded";
    world.until(&origin, &id.to_string(), has_ended).await;
    let attempt = async || {
        let spans = collector.spans(TRACE);
        spans.into_iter().find(|span| span.name == "attempt")
    };
    until(async || attempt().await.is_some()).await;
    let attempt = attempt().await.expect("an attempt");
    assert!(attempt.attributes.contains("darkroom.attempt=2\n"));
    let request = before.iter().find(|span| span.name.starts_with("POST"));
    assert_eq!(attempt.parent, request.expect("the request").id);
}
