//! What the operator's listener tells.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use serde_json::json;
use tower::ServiceExt as _;

use crate::support::call::Call;
use crate::support::engine::StubEngine;
use crate::support::{Origin, Setup, until};

/// The metrics as Prometheus reads them.
pub async fn scrape(router: Router) -> String {
    let request = Request::get("/metrics").body(Body::empty());
    let response = router
        .oneshot(request.expect("request"))
        .await
        .expect("infallible");
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        response.headers()["content-type"],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let body = to_bytes(response.into_body(), 1 << 20).await.expect("body");
    String::from_utf8(body.to_vec()).expect("text")
}

/// A series' value; 0 where there is none yet, as Prometheus has it.
pub fn number(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| {
        let rest = line.strip_prefix(series)?;
        rest.strip_prefix(' ')
    });
    line.map_or(0.0, |number| number.parse().expect("a number"))
}

/// The same in whole numbers.
fn value(text: &str, series: &str) -> u64 {
    number(text, series) as u64
}

#[tokio::test]
async fn a_job_is_measured_from_its_wait_to_the_store() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine).await;
    let running = origin.submit(&json!({ "prompt": "p" })).await;
    origin.events(&running).await.until_step(0).await;
    let queued = origin.submit(&json!({ "prompt": "p", "n": 2 })).await;
    let text = scrape(origin.service.admin_router()).await;
    assert_eq!(value(&text, r#"darkroom_jobs{status="queued"}"#), 1);
    assert_eq!(value(&text, r#"darkroom_jobs{status="running"}"#), 1);
    assert_eq!(value(&text, "darkroom_database_up"), 1);
    assert!(value(&text, "darkroom_memory_bytes") > 1_000_000, "{text}");

    gate.open();
    origin.finished(&running).await;
    origin.finished(&queued).await;
    // The event is out a moment before the number.
    let succeeded = r#"darkroom_jobs_ended_total{status="succeeded",code=""}"#;
    until(async || value(&scrape(origin.service.admin_router()).await, succeeded) == 2).await;
    let text = scrape(origin.service.admin_router()).await;
    for (series, expected) in [
        (r#"darkroom_jobs{status="queued"}"#, 0),
        (r#"darkroom_jobs{status="running"}"#, 0),
        ("darkroom_queue_oldest_job_seconds", 0),
        ("darkroom_job_wait_seconds_count", 2),
        ("darkroom_step_seconds_count", 12),
        (r#"darkroom_stage_seconds_count{stage="steps"}"#, 3),
        (r#"darkroom_stage_seconds_count{stage="decode"}"#, 3),
        (r#"darkroom_stage_seconds_count{stage="encode"}"#, 3),
        (r#"darkroom_stage_seconds_count{stage="spool"}"#, 3),
        (r#"darkroom_stage_seconds_count{stage="upload"}"#, 3),
        (r#"darkroom_uploads_total{result="stored"}"#, 3),
    ] {
        assert_eq!(value(&text, series), expected, "{series} in {text}");
    }
    assert!(value(&text, "darkroom_uploaded_bytes_total") > 0);
    assert!(number(&text, "darkroom_engine_busy_seconds_total") > 0.0);
    assert!(text.ends_with("# EOF\n"), "{text}");
    origin.stop().await;
}

#[tokio::test]
async fn failures_are_counted_by_cause_and_requests_by_route() {
    let origin = Origin::start(Setup::default()).await;
    let id = origin.submit(&json!({ "prompt": "invalid" })).await;
    assert_eq!(origin.finished(&id).await["status"], "failed");
    origin.send(Call::get("/healthz").unsigned()).await;
    let unsigned = origin.send(Call::get("/api/models").unsigned()).await;
    assert_eq!(unsigned.status, StatusCode::UNAUTHORIZED);
    let failed = r#"darkroom_jobs_ended_total{status="failed",code="invalid_request"}"#;
    until(async || value(&scrape(origin.service.admin_router()).await, failed) == 1).await;
    let text = scrape(origin.service.admin_router()).await;
    // 202, or on a busy machine what had become of the job by then.
    let accepted =
        r#"darkroom_http_requests_total{method="POST",route="/api/media/generate-image""#;
    assert_eq!(text.matches(accepted).count(), 1, "{text}");
    let probed = r#"darkroom_http_requests_total{method="GET",route="/healthz",status="200"}"#;
    assert_eq!(value(&text, probed), 1, "{text}");
    let refused = r#"darkroom_http_problems_total{code="unauthorized"}"#;
    assert_eq!(value(&text, refused), 1, "{text}");
    assert!(!text.contains(&id), "{text}");
    origin.stop().await;
}

#[tokio::test]
async fn a_job_that_is_canceled_or_tried_again_is_counted() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine).await;
    let id = origin.submit(&json!({ "prompt": "p" })).await;
    let delete = Call::delete(&format!("/api/jobs/{id}"));
    assert_eq!(origin.call(delete).await.status, StatusCode::OK);
    let canceled = r#"darkroom_jobs_ended_total{status="canceled",code=""}"#;
    assert_eq!(
        value(&scrape(origin.service.admin_router()).await, canceled),
        1
    );
    gate.open();
    origin.submit(&json!({ "prompt": "fail" })).await;
    until(async || {
        value(
            &scrape(origin.service.admin_router()).await,
            "darkroom_job_retries_total",
        ) >= 1
    })
    .await;
    origin.stop().await;
}

#[tokio::test]
async fn a_job_that_misses_its_deadline_is_counted() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine).await;
    let late = Call::generate(&json!({ "prompt": "p" })).header("darkroom-deadline", "1");
    origin.call(late).await.problem("deadline_missed").await;
    let missed = r#"darkroom_jobs_ended_total{status="failed",code="deadline_missed"}"#;
    until(async || value(&scrape(origin.service.admin_router()).await, missed) == 1).await;
    gate.open();
    origin.stop().await;
}

#[tokio::test]
async fn metrics_are_told_while_the_database_is_away() {
    let origin = Origin::start(Setup::default()).await;
    let router = origin.service.admin_router();
    // Its connections are closed then.
    origin.stop().await;
    let text = scrape(router).await;
    assert!(text.contains("\ndarkroom_database_up 0\n"), "{text}");
}
