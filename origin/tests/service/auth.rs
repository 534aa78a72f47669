//! Only what the edge has signed comes in, and only once.

use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode};
use serde_json::json;

use crate::support::call::Call;
use crate::support::{Origin, Setup};

#[tokio::test]
async fn unsigned_requests_are_refused_on_every_route_but_health() {
    let origin = Origin::start(Setup::default()).await;
    for call in [
        Call::get("/api/jobs"),
        Call::get("/api/models"),
        Call::get("/generated/1-01234567-89ab-cdef-0123-456789abcdef.png"),
        Call::get("/nowhere"),
        Call::delete("/api/models"),
        Call::generate(&json!({ "prompt": "p" })),
    ] {
        let answer = origin.send(call.unsigned()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", call.path);
        answer.problem("unauthorized").await;
    }
    for path in ["/healthz", "/readyz"] {
        let answer = origin.send(Call::get(path).unsigned()).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    origin.stop().await;
}

#[tokio::test]
async fn a_tampered_request_is_refused() {
    let origin = Origin::start(Setup::default()).await;
    let generate = Call::generate(&json!({ "prompt": "p" }));

    let mut other_body = generate.signed();
    *other_body.body_mut() = Body::from(r#"{"prompt":"q"}"#);
    let mut other_caller = generate.signed();
    other_caller
        .headers_mut()
        .insert("darkroom-caller", HeaderValue::from_static("mallory"));
    let mut other_method = Call::get("/api/jobs/x").signed();
    *other_method.method_mut() = Method::DELETE;
    let mut other_query = Call::get("/api/jobs?limit=1").signed();
    *other_query.uri_mut() = "/api/jobs?limit=2".parse().expect("uri");
    for request in [other_body, other_caller, other_method, other_query] {
        let answer = origin.send(request).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        answer.problem("unauthorized").await;
    }
    origin.stop().await;
}

#[tokio::test]
async fn a_replayed_request_is_refused() {
    let origin = Origin::start(Setup::default()).await;
    let request = Call::get("/api/jobs").signed();
    let headers = request.headers().clone();
    let first = origin.send(request).await;
    assert_eq!(first.status, StatusCode::OK);

    let mut again = Call::get("/api/jobs").unsigned();
    *again.headers_mut() = headers;
    let again = origin.send(again).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED);
    let problem = again.problem("unauthorized").await;
    assert_eq!(problem["detail"], "the request was seen before");
    origin.stop().await;
}

#[tokio::test]
async fn of_equal_requests_at_one_moment_one_is_taken() {
    let origin = Origin::start(Setup::default()).await;
    let first = Call::get("/api/jobs").signed();
    let mut second = Call::get("/api/jobs").unsigned();
    second.headers_mut().clone_from(first.headers());
    let (first, second) = tokio::join!(origin.send(first), origin.send(second));
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [StatusCode::OK, StatusCode::UNAUTHORIZED]);
    origin.stop().await;
}

#[tokio::test]
async fn the_body_of_a_forged_request_is_not_waited_for() {
    let origin = Origin::start(Setup::default()).await;
    let mut forged = Call::generate(&json!({ "prompt": "p" })).signed();
    let theirs = Call::get("/api/jobs").signed();
    let signature = theirs.headers()["signature"].clone();
    forged.headers_mut().insert("signature", signature);
    let never = futures_util::stream::pending::<std::io::Result<Vec<u8>>>();
    *forged.body_mut() = Body::from_stream(never);
    let answer = origin.send(forged).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    answer.problem("unauthorized").await;
    origin.stop().await;
}

#[tokio::test]
async fn an_expired_signature_is_refused() {
    let origin = Origin::start(Setup::default()).await;
    let mut call = Call::get("/api/jobs");
    call.created -= 62;
    let answer = origin.call(call).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    origin.stop().await;
}

#[tokio::test]
async fn paths_and_queries_are_signed_as_sent() {
    let origin = Origin::start(Setup::default()).await;
    let answer = origin
        .call(Call::get("/api/jobs?cursor=a%2Fb&limit=5"))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    let answer = origin.call(Call::get("/api/jobs/a%20b")).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    origin.stop().await;
}

#[tokio::test]
async fn a_body_over_20_mib_is_refused() {
    let origin = Origin::start(Setup::default()).await;
    let mut call = Call::generate(&json!({}));
    call.body = vec![b' '; 20 * 1024 * 1024 + 1];
    let answer = origin.call(call).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    answer.problem("body_too_large").await;
    origin.stop().await;
}
