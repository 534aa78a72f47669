//! Marks of deleted pictures: a picture may lie in many caches, which nobody can all reach, so
//! that a mark is looked for before a cached one is given.

use serde_json::json;
use worker::Cache;
use worker::js_sys::futures::JsFuture;

use crate::call::Call;
use crate::failure::Failure;
use crate::kv::Namespace;
use crate::routes::not_found;
use crate::{bindings, border, log, settings};

/// What marks begin with, beside finished recipes in the same store.
const MARK: &str = "deleted:";
/// As long as a cache may keep a picture.
const MEMORY_SECONDS: u64 = 366 * 86_400;

/// Refuses a picture that was deleted.
pub async fn check(call: &Call) -> Result<(), Failure> {
    if is_marked(call, mark(&call.path)).await {
        return Err(not_found());
    }
    Ok(())
}

/// Whether one of the pictures stored under these keys was deleted.
pub async fn is_any(call: &Call, keys: impl Iterator<Item = &str>) -> bool {
    let marks: Vec<_> = keys.map(|key| mark(&path(key))).collect();
    !marks.is_empty() && is_marked(call, marks.join("\n")).await
}

/// Whether there is one of these marks. Where that cannot be told a picture is taken for one that is
/// there: its address is hard to guess.
async fn is_marked(call: &Call, marks: String) -> bool {
    let Some(store) = bindings::recipes(&call.env) else {
        return false;
    };
    match JsFuture::from(border::has_any(&store, &marks)).await {
        Ok(is_marked) => is_marked.is_truthy(),
        Err(error) => {
            let error = worker::Error::from(error);
            let message = format_args!("no marks of deletion: {error}");
            log::error(&call.request_id, message);
            false
        }
    }
}

/// Marks the picture stored under `key` as deleted, and takes it out of this place's cache.
pub async fn forget(call: &Call, key: &str) -> Result<(), Failure> {
    let path = path(key);
    let options = json!({ "expirationTtl": MEMORY_SECONDS });
    let marked = store(call)?.keep(&mark(&path), "", &options).await;
    marked.inspect_err(|error| {
        log::error(
            &call.request_id,
            format_args!("a deletion cannot be marked: {error}"),
        );
    })?;
    Cache::default()
        .delete(format!("{}{path}", call.site), true)
        .await?;
    Ok(())
}

/// Takes the mark of the picture stored under `key` away: it was restored.
pub async fn remember(call: &Call, key: &str) -> Result<(), Failure> {
    let unmarked = store(call)?.forget(&mark(&path(key))).await;
    unmarked.inspect_err(|error| {
        log::error(
            &call.request_id,
            format_args!("a deletion stays marked: {error}"),
        );
    })?;
    Ok(())
}

fn store(call: &Call) -> Result<Namespace, Failure> {
    bindings::recipes(&call.env).ok_or_else(|| settings::unbound(settings::RECIPES))
}

pub(super) fn path(key: &str) -> String {
    format!("/{key}")
}

/// The name of a picture's mark.
pub(super) fn mark(path: &str) -> String {
    format!("{MARK}{path}")
}
