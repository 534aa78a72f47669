//! `GET /api/images/{id}`

use axum::Json;
use axum::extract::State;
use darkroom_shared::job::Image;

use super::identity::Caller;
use super::segment::Segment;
use super::{ApiError, App};

/// What is known of one of the caller's images.
pub(super) async fn show(
    State(app): State<App>,
    Caller(account): Caller,
    Segment(id): Segment,
) -> Result<Json<Image>, ApiError> {
    let image = app.queue.image(&account, &id).await?;
    image.map(Json).ok_or_else(|| ApiError::not_found("image"))
}
