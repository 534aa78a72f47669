//! `GET /metrics`, for Prometheus.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tokio::time::timeout;

use super::Admin;
use crate::cause::chain;
use crate::metrics::CONTENT_TYPE;

/// What is counted must be heard even while the database is away: Prometheus gives up after 10 s.
const DATABASE_LIMIT: Duration = Duration::from_secs(3);

/// All metrics as they are now.
pub(super) async fn show(State(admin): State<Admin>) -> Response {
    let depth = match timeout(DATABASE_LIMIT, admin.database.depth()).await {
        Ok(Ok(depth)) => Some(depth),
        Ok(Err(error)) => {
            tracing::warn!(error = chain(&error), "the queue's depth is not known");
            None
        }
        Err(_) => {
            tracing::warn!("the queue's depth is not known: the database takes too long");
            None
        }
    };
    admin.metrics.now().queue(depth.as_ref());
    admin.metrics.now().memory();
    match admin.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(error = chain(&error), "the metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
