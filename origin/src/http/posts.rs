//! `/api/posts`: the catalog. Published posts are everybody's to read, all others their account's.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use darkroom_shared::posts::Post;
use darkroom_shared::posts::list::ListPosts;
use darkroom_shared::posts::write::{CreatePost, PatchPost};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::generate::require_json;
use super::identity::Caller;
use super::segment::Segment;
use super::{ApiError, App, etag};
use crate::clock;

/// A page of what the caller may see, newest first.
pub(super) async fn list(
    State(app): State<App>,
    Caller(account): Caller,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let query = query.unwrap_or_default();
    let parameters: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
    let parameters = parameters.iter().map(|(name, value)| (&**name, &**value));
    let list = ListPosts::from_parameters(parameters)?;
    let page = app.database.posts(&account, &list, &app.addresses).await?;
    let body = serde_json::to_vec(&page).map_err(ApiError::internal)?;
    let etag = format!("\"{}\"", hex::encode(Sha256::digest(&body)));
    if etag::is_known(&headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let json = HeaderValue::from_static("application/json");
    Ok(([(header::ETAG, etag)], [(header::CONTENT_TYPE, json)], body).into_response())
}

/// One post.
pub(super) async fn show(
    State(app): State<App>,
    Caller(account): Caller,
    Segment(slug): Segment,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let post = app.database.post(&account, &slug, &app.addresses).await?;
    let post = post.ok_or_else(|| ApiError::not_found("post"))?;
    if etag::is_known(&headers, &post.etag()) {
        let headers = [(header::ETAG, post.etag())];
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    Ok(answer(StatusCode::OK, &post))
}

/// Makes a post.
pub(super) async fn create(
    State(app): State<App>,
    Caller(account): Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    require_json(&headers)?;
    let new = CreatePost::from_json(&body)?;
    let (id, now) = (Uuid::now_v7(), clock::now());
    let post = app
        .database
        .create_post(&account, id, &new, &app.addresses, now)
        .await?;
    let location = format!("/api/posts/{}", post.slug);
    let mut response = answer(StatusCode::CREATED, &post);
    let location = HeaderValue::from_str(&location).map_err(ApiError::internal)?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// Changes one of the caller's posts.
pub(super) async fn change(
    State(app): State<App>,
    Caller(account): Caller,
    Segment(slug): Segment,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    require_json(&headers)?;
    let patch = PatchPost::from_json(&body)?;
    let required = etag::required(&headers);
    let own = app.database.own_post(&account, &slug, required.as_deref());
    let post = own.change(&patch, &app.addresses, clock::now()).await?;
    Ok(answer(StatusCode::OK, &post))
}

/// Deletes one of the caller's posts: nobody finds it any more, and its account can restore it.
pub(super) async fn delete(
    State(app): State<App>,
    Caller(account): Caller,
    Segment(slug): Segment,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let required = etag::required(&headers);
    let own = app.database.own_post(&account, &slug, required.as_deref());
    own.delete(&app.addresses, clock::now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a deletion back. A post that is not deleted is answered as it is.
pub(super) async fn restore(
    State(app): State<App>,
    Caller(account): Caller,
    Segment(slug): Segment,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let required = etag::required(&headers);
    let own = app.database.own_post(&account, &slug, required.as_deref());
    let post = own.restore(&app.addresses, clock::now()).await?;
    Ok(answer(StatusCode::OK, &post))
}

fn answer(status: StatusCode, post: &Post) -> Response {
    (status, [(header::ETAG, post.etag())], Json(post)).into_response()
}
