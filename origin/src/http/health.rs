//! `GET /healthz` and `GET /readyz`, the two routes that need no signature.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::App;
use crate::cause::chain;
use crate::jobs::{EngineState, Phase};

/// The process is up. Says nothing of what it can do: that is [`ready`]'s.
pub(super) async fn alive() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

/// Whether requests should be sent here, and what keeps them away.
pub(super) async fn ready(State(app): State<App>) -> Response {
    let engine = match &*app.engine.borrow() {
        EngineState::Ready(_) => "ready",
        EngineState::Loading => "loading",
        EngineState::Failed(_) => "failed",
    };
    let database = match app.database.check().await {
        Ok(()) => "reachable",
        Err(error) => {
            tracing::error!(error = chain(&*error), "the database cannot be reached");
            "unreachable"
        }
    };
    let tasks = if app.vital.are_well() {
        "running"
    } else {
        "failed"
    };
    let signing = match app.signer.as_ref().map(|signer| signer.check()) {
        None => "off",
        Some(Ok(())) => "ready",
        Some(Err(error)) => {
            tracing::error!(error = chain(&error), "pictures cannot be signed");
            "failed"
        }
    };
    let draining = *app.phases.borrow() != Phase::Serving;
    let ready = engine == "ready"
        && database == "reachable"
        && tasks == "running"
        && signing != "failed"
        && !draining;
    let report = Json(json!({
        "ready": ready,
        "engine": engine,
        "database": database,
        "tasks": tasks,
        "signing": signing,
        "draining": draining,
    }));
    if ready {
        report.into_response()
    } else {
        let later = [(header::RETRY_AFTER, "5")];
        (StatusCode::SERVICE_UNAVAILABLE, later, report).into_response()
    }
}
