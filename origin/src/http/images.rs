//! `GET /api/images`; `GET` and `DELETE /api/images/{id}`; its versions; taking a deletion back.

use axum::Json;
use axum::extract::{RawQuery, State};
use darkroom_shared::job::{DeletedImage, Image, ListedImage, Page};
use darkroom_shared::problem::{Code, FieldError, Problem};
use url::form_urlencoded;

use super::identity::Caller;
use super::job_routes::ListQuery;
use super::segment::Segment;
use super::{ApiError, App};
use crate::clock;
use crate::database::{ListImages, Remains, Which};
use crate::housekeeping::Restored;

/// Seconds after which an object has mostly been moved.
const MOVING_SECONDS: u32 = 5;

/// The caller's images, newest first; with `deleted=true` those that can be restored.
pub(super) async fn list(
    State(app): State<App>,
    Caller(account): Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<ListedImage>>, ApiError> {
    let query = query.as_deref().unwrap_or_default();
    let which = if deleted(query)? {
        Which::Restorable(clock::now())
    } else {
        Which::Own
    };
    page(&app, &account, which, query).await
}

/// What is known of one of the caller's images.
pub(super) async fn show(
    State(app): State<App>,
    Caller(account): Caller,
    Segment(id): Segment,
) -> Result<Json<Image>, ApiError> {
    let image = app.queue.image(&account, &id).await?;
    image.map(Json).ok_or_else(|| ApiError::not_found("image"))
}

/// What an image was made anew of, and what was made anew of it: itself among them, newest first.
pub(super) async fn versions(
    State(app): State<App>,
    Caller(account): Caller,
    Segment(id): Segment,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<ListedImage>>, ApiError> {
    let image = app.queue.image(&account, &id).await?;
    let image = image.ok_or_else(|| ApiError::not_found("image"))?;
    let query = query.as_deref().unwrap_or_default();
    page(&app, &account, Which::Line(&image.id), query).await
}

/// Deletes one of the caller's images, and answers by which recipe its job was made: the edge
/// then forgets that too. Of one that is gone the same is said again, should the edge have failed
/// in between.
pub(super) async fn delete(
    State(app): State<App>,
    Caller(account): Caller,
    Segment(id): Segment,
) -> Result<Json<DeletedImage>, ApiError> {
    // Where this fails the image stays hidden, and a second call or the housekeeping tries again.
    let deleted = app.purge.delete(&account, &id).await?;
    let deleted = deleted.ok_or_else(|| ApiError::not_found("image"))?;
    if deleted.object == Remains::Busy {
        return Err(being_moved());
    }
    Ok(Json(DeletedImage {
        recipe_sha256: deleted.recipe.hash().map_err(ApiError::internal)?,
        n: deleted.images,
        key: deleted.key,
        variants: deleted.variants,
        again: deleted.object == Remains::Gone,
    }))
}

/// Takes a deletion back. An image that is not deleted is answered as it is.
pub(super) async fn restore(
    State(app): State<App>,
    Caller(account): Caller,
    Segment(id): Segment,
) -> Result<Json<Image>, ApiError> {
    match app.purge.restore(&account, &id).await? {
        None => Err(ApiError::not_found("deleted image")),
        Some(Restored::Busy) => Err(being_moved()),
        Some(Restored::There) => show(State(app), Caller(account), Segment(id)).await,
    }
}

async fn page(
    app: &App,
    account: &str,
    which: Which<'_>,
    query: &str,
) -> Result<Json<Page<ListedImage>>, ApiError> {
    let query = ListQuery::read(query)?;
    let list = ListImages {
        which,
        after: query.cursor.as_deref(),
        limit: query.limit,
    };
    let page = app.database.images(account, list, &app.addresses).await?;
    Ok(Json(page))
}

fn deleted(query: &str) -> Result<bool, ApiError> {
    let mut parameters = form_urlencoded::parse(query.as_bytes());
    match parameters.find(|(name, _)| name == "deleted") {
        None => Ok(false),
        Some((_, value)) => value.parse().map_err(|_| {
            let (field, message) = ("deleted".to_owned(), "must be true or false".to_owned());
            vec![FieldError { field, message }].into()
        }),
    }
}

fn being_moved() -> ApiError {
    let problem = Problem::new(
        Code::Unavailable,
        "the picture is just being moved in the store; try again",
    );
    Problem {
        retry_after: Some(MOVING_SECONDS),
        ..problem
    }
    .into()
}
