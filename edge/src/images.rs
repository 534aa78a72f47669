//! Images that are deleted: the picture is gone, and so is what was remembered of it, until it is
//! restored.

use darkroom_shared::job::DeletedImage;
use darkroom_shared::request::Visibility;
use futures_util::future::{join_all, join3};
use serde_json::Value;

use crate::auth::Caller;
use crate::call::Call;
use crate::failure::Answer;
use crate::origin::{self, Ask};
use crate::reply::Reply;
use crate::{finished, flights, log, pictures, respond, routes, settings};

/// Has the origin delete an image, and forgets its recipe, its picture and the smaller copies. One
/// that is gone is forgotten once more: where that failed before, a caller who tries again has it done.
pub async fn delete(call: &Call, caller: &Caller) -> Answer {
    let origin = settings::origin(&call.env)?;
    let ask = Ask::new(call, caller, origin.timeout);
    let answer = origin::ask(&origin, ask).await?;
    let deleted = match answer.status {
        200 => answer.json::<DeletedImage>(),
        _ => return respond::relay(call, &answer, &origin).await,
    };
    let deleted = deleted.map_err(|error| {
        log::error(&call.request_id, format_args!("no deleted image: {error}"));
        crate::sending::unreachable_origin()
    })?;
    let visibility = if deleted.key.starts_with("private/") {
        Visibility::Private
    } else {
        Visibility::Public
    };
    let hash = &deleted.recipe_sha256;
    let name = finished::name(hash, deleted.n, visibility, caller.as_str());
    let files = std::iter::once(&deleted.key).chain(&deleted.variants);
    // Each whatever becomes of the others: the origin tells only once what it has deleted.
    let (pictures, flight, recipe) = join3(
        join_all(files.map(|key| pictures::forget(call, key))),
        flights::forget(&call.env, &name),
        finished::forget(call, &name),
    )
    .await;
    let pictures: Result<(), _> = pictures.into_iter().collect();
    pictures.and(flight).and(recipe)?;
    if deleted.again {
        return Err(routes::not_found());
    }
    Ok(Reply::new(204).with("cache-control", "no-store"))
}

/// Has the origin bring a deleted image back, and serves its picture again. One that is there
/// already is served once more: where that failed before, a caller who tries again has it done.
pub async fn restore(call: &Call, caller: &Caller) -> Answer {
    let origin = settings::origin(&call.env)?;
    let ask = Ask::new(call, caller, origin.timeout);
    let answer = origin::ask(&origin, ask).await?;
    if answer.status == 200 {
        let restored = answer.json::<Value>();
        let restored = restored.map_err(|_| crate::sending::unreachable_origin())?;
        let variants = restored.get("variants").and_then(Value::as_array);
        // The picture, and its smaller copies.
        for file in variants.into_iter().flatten().chain([&restored]) {
            if let Some(key) = file.get("key").and_then(Value::as_str) {
                pictures::remember(call, key).await?;
            }
        }
    }
    respond::relay(call, &answer, &origin).await
}
