//! `GET /generated/{file}` and `GET /private/generated/{file}`: the pictures themselves, where no
//! CDN fetches them from the bucket.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use darkroom_shared::key::{CACHE_CONTROL_PRIVATE, CACHE_CONTROL_PUBLIC, parse_file_name};

use super::segment::Segment;
use super::{ApiError, App};

/// Streams a public picture out of the store.
pub(super) async fn public(
    State(app): State<App>,
    Segment(file): Segment,
    request: HeaderMap,
) -> Result<Response, ApiError> {
    serve(&app, "generated", &file, &request, CACHE_CONTROL_PUBLIC).await
}

/// The same for a private one: the edge has verified that its caller may see it.
pub(super) async fn private(
    State(app): State<App>,
    Segment(file): Segment,
    request: HeaderMap,
) -> Result<Response, ApiError> {
    let folder = "private/generated";
    serve(&app, folder, &file, &request, CACHE_CONTROL_PRIVATE).await
}

async fn serve(
    app: &App,
    folder: &str,
    file: &str,
    request: &HeaderMap,
    cache_control: &str,
) -> Result<Response, ApiError> {
    let not_found = || ApiError::not_found("picture");
    parse_file_name(file).ok_or_else(not_found)?;
    let stored = app.storage.get(&format!("{folder}/{file}")).await?;
    let stored = stored.ok_or_else(not_found)?;
    let etag = format!("\"{}\"", stored.sha256);
    let caching = [
        (header::CACHE_CONTROL, cache_control.to_owned()),
        (header::ETAG, etag.clone()),
    ];
    if is_known(request, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, caching).into_response());
    }
    let about = [
        (header::CONTENT_TYPE, stored.content_type),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    let mut response = (caching, about, Body::from_stream(stored.body)).into_response();
    if let Some(length) = stored.length {
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, length.into());
    }
    Ok(response)
}

/// Whether the caller has the picture already (RFC 9110, 13.1.2).
fn is_known(request: &HeaderMap, etag: &str) -> bool {
    let values = request.get_all(header::IF_NONE_MATCH).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(|known| known.trim().trim_start_matches("W/"))
        .any(|known| known == etag || known == "*")
}
