//! `GET /api/webhooks/deliveries`, `POST /api/webhooks/deliveries/{id}/resend`, `GET` and
//! `POST /api/webhooks/secret`

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use darkroom_shared::job::Page;
use darkroom_shared::webhook::Delivery;

use super::identity::Caller;
use super::job_routes::ListQuery;
use super::segment::Segment;
use super::{ApiError, App};

const NO_STORE: [(header::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

/// What was told to the caller's webhooks, newest first.
pub(super) async fn list(
    State(app): State<App>,
    Caller(account): Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<Delivery>>, ApiError> {
    let query = ListQuery::read(query.as_deref().unwrap_or_default())?;
    let after = query.cursor.as_deref();
    let page = app.database.deliveries(&account, after, query.limit);
    Ok(Json(page.await?))
}

/// Has an event told again.
pub(super) async fn resend(
    State(app): State<App>,
    Caller(account): Caller,
    Segment(id): Segment,
) -> Result<StatusCode, ApiError> {
    if app.database.resend(&account, &id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::not_found("delivery"))
    }
}

/// What the caller's webhooks are signed with.
pub(super) async fn secret(
    State(app): State<App>,
    Caller(account): Caller,
) -> Result<impl IntoResponse, ApiError> {
    let now = app.database.now().await?;
    let secret = app.database.signing_secret(&account, now).await?;
    Ok((NO_STORE, Json(secret)))
}

/// Gives the caller a new secret.
pub(super) async fn rotate(
    State(app): State<App>,
    Caller(account): Caller,
) -> Result<impl IntoResponse, ApiError> {
    let now = app.database.now().await?;
    let secret = app.database.rotate_signing_secret(&account, now).await?;
    Ok((NO_STORE, Json(secret)))
}
