//! `GET /openapi.json` and `GET /docs`: the edge's API, for programs and for people, as the edge
//! shows it itself (`edge/ui`).

use axum::Json;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use darkroom_shared::openapi::document;

use crate::cause::chain;

/// The page loads nothing from elsewhere, and nothing may be made to.
const POLICY: &str = "default-src 'none'; connect-src 'self'; style-src 'self'; script-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The document, and the page that shows it.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let page = |content_type, text| get(async move || file(content_type, text));
    Router::new()
        .route("/openapi.json", get(openapi))
        .route(
            "/docs",
            page(
                "text/html; charset=utf-8",
                include_str!("../../../edge/ui/docs.html"),
            ),
        )
        .route(
            "/docs.js",
            page(
                "text/javascript; charset=utf-8",
                include_str!("../../../edge/ui/docs.js"),
            ),
        )
        .route(
            "/docs.css",
            page(
                "text/css; charset=utf-8",
                include_str!("../../../edge/ui/docs.css"),
            ),
        )
}

async fn openapi() -> Response {
    match document() {
        Ok(document) => Json(document).into_response(),
        Err(error) => {
            tracing::error!(error = chain(&error), "the document cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn file(content_type: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text).into_response()
}
