//! What every request and answer has: an id, a span, a line in the log, errors in one form.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use darkroom_shared::problem::Code;
use darkroom_shared::trace::{TRACEPARENT_HEADER, TraceParent};
use tracing::Instrument as _;
use uuid::Uuid;

use super::{App, error};
use crate::traces::Span;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives a request its id, logs it, and finishes its answer.
///
/// The log has the route, not the path, and no query: neither ids nor words of callers.
pub(super) async fn wrap(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let id = request_id(request.headers()).unwrap_or_else(|| Uuid::new_v4().to_string());
    let method = request.method().clone();
    let traced = begin_span(&app, &request);
    // Known here of what needs no signature; of all else, whoever checks that says it.
    let open = Route::of(&request);
    request.extensions_mut().insert(traced.clone());
    let trace_id = traced.place().map(|place| place.trace_id());
    let span = tracing::info_span!("request", id, trace_id);
    async {
        let begun = Instant::now();
        let response = next.run(request).await;
        let route = response
            .extensions()
            .get::<Route>()
            .cloned()
            .or(open)
            .map(|Route(path)| path);
        let code = error::code(&response);
        if let Some(code) = code {
            app.metrics.requests.problem(code);
        }
        let mut response = error::finish(response, &id);
        let (status, elapsed) = (response.status().as_u16(), begun.elapsed());
        app.metrics
            .requests
            .answered(method.as_str(), route.as_deref(), status, elapsed);
        end_span(&traced, &method, route.as_deref(), status, code);
        tracing::info!(
            %method,
            route,
            status,
            milliseconds = elapsed.as_millis() as u64,
            "answered"
        );
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }
    .instrument(span)
    .await
}

/// The route that was taken, handed outwards for the log.
#[derive(Clone)]
pub(super) struct Route(String);

impl Route {
    pub(super) fn of(request: &Request) -> Option<Self> {
        let path = request.extensions().get::<MatchedPath>()?;
        Some(Self(path.as_str().to_owned()))
    }
}

/// The id that the edge gave, where it is one that a log line can take.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let is_plain = (1..=128).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    is_plain.then(|| id.to_owned())
}

/// The request's span. Whoever asks every few seconds whether all is well has no use for one.
fn begin_span(app: &App, request: &Request) -> Span {
    match request.uri().path() {
        "/healthz" | "/readyz" => Span::default(),
        _ => app.traces.request(trace(request.headers())),
    }
}

fn end_span(span: &Span, method: &Method, route: Option<&str>, status: u16, code: Option<Code>) {
    span.set("http.request.method", method.to_string());
    if let Some(route) = route {
        span.rename(format!("{method} {route}"));
        span.set("http.route", route.to_owned());
    }
    span.set("http.response.status_code", i64::from(status));
    if let Some(code) = code.filter(|_| status >= 500) {
        span.fail(code.as_str());
    }
}

/// The trace that the edge is in.
fn trace(headers: &HeaderMap) -> Option<TraceParent> {
    let header = headers.get(TRACEPARENT_HEADER)?.to_str().ok()?;
    TraceParent::parse(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_ids_are_taken_over() {
        let id = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_static(value));
            request_id(&headers)
        };
        assert_eq!(id("a-1_b.c").as_deref(), Some("a-1_b.c"));
        assert_eq!(id(""), None);
        assert_eq!(id("a b"), None);
        assert_eq!(id("{\"level\":\"x\"}"), None);
    }
}
