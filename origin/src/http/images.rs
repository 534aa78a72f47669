//! `GET` and `DELETE /api/images/{id}`

use axum::Json;
use axum::extract::State;
use darkroom_shared::job::{DeletedImage, Image};

use super::identity::Caller;
use super::segment::Segment;
use super::{ApiError, App};
use crate::clock;
use crate::database::Doomed;

/// What is known of one of the caller's images.
pub(super) async fn show(
    State(app): State<App>,
    Caller(account): Caller,
    Segment(id): Segment,
) -> Result<Json<Image>, ApiError> {
    let image = app.queue.image(&account, &id).await?;
    image.map(Json).ok_or_else(|| ApiError::not_found("image"))
}

/// Deletes one of the caller's images, and answers by which recipe its job was made: the edge
/// then forgets that too. Of one that is gone the same is said again, should the edge have failed
/// in between.
pub(super) async fn delete(
    State(app): State<App>,
    Caller(account): Caller,
    Segment(id): Segment,
) -> Result<Json<DeletedImage>, ApiError> {
    let hidden = app.database.hide_image(&account, &id, clock::now()).await?;
    let deleted = hidden.ok_or_else(|| ApiError::not_found("image"))?;
    if !deleted.is_purged {
        // Where this fails the image stays hidden, and a second call or the housekeeping tries again.
        let mut keys = deleted.variants.clone();
        keys.push(deleted.key.clone());
        app.purge.image(&Doomed { id, keys }).await?;
    }
    Ok(Json(DeletedImage {
        recipe_sha256: deleted.recipe.hash().map_err(ApiError::internal)?,
        n: deleted.images,
        key: deleted.key,
        variants: deleted.variants,
        again: deleted.is_purged,
    }))
}
