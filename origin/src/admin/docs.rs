//! `GET /openapi.json` and `GET /docs`: the edge's API, for programs and for people.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use darkroom_shared::openapi::document;

use crate::cause::chain;

/// The page loads nothing from elsewhere, and nothing may be made to.
const POLICY: &str = "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; \
                      script-src 'unsafe-inline'; frame-ancestors 'none'";
const PAGE: &str = include_str!("docs.html");

/// The document.
pub(super) async fn openapi() -> Response {
    match document() {
        Ok(document) => Json(document).into_response(),
        Err(error) => {
            tracing::error!(error = chain(&error), "the document cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The page that shows it.
pub(super) async fn page() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, PAGE).into_response()
}
