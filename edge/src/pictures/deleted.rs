//! Marks of deleted pictures: a picture may lie in many caches, which nobody can all reach, so
//! that a mark is looked for before a cached one is given.

use worker::Cache;

use crate::call::Call;
use crate::failure::Failure;
use crate::routes::not_found;
use crate::{log, settings};

/// What marks begin with, beside finished recipes in the same store.
const MARK: &str = "deleted:";
/// As long as a cache may keep a picture.
const MEMORY_SECONDS: u64 = 366 * 86_400;

/// Refuses a picture that was deleted. Where that cannot be told it is taken for one that is there:
/// its address is hard to guess.
pub async fn check(call: &Call) -> Result<(), Failure> {
    let Ok(store) = call.env.kv(settings::RECIPES) else {
        return Ok(());
    };
    let mark = store.get(&mark(&call.path)).text().await;
    let mark = mark.inspect_err(|error| {
        log::error(
            &call.request_id,
            format_args!("no marks of deletion: {error}"),
        );
    });
    match mark {
        Ok(Some(_)) => Err(not_found()),
        _ => Ok(()),
    }
}

/// Marks the picture stored under `key` as deleted, and takes it out of this place's cache.
pub async fn forget(call: &Call, key: &str) -> Result<(), Failure> {
    let path = format!("/{key}");
    let store = call.env.kv(settings::RECIPES)?;
    let marked = async {
        let put = store.put(&mark(&path), "")?;
        put.expiration_ttl(MEMORY_SECONDS).execute().await
    };
    marked.await.map_err(|error| {
        log::error(
            &call.request_id,
            format_args!("a deletion cannot be marked: {error}"),
        );
        worker::Error::from(error.to_string())
    })?;
    Cache::default()
        .delete(format!("{}{path}", call.site), true)
        .await?;
    Ok(())
}

/// Takes the mark of the picture stored under `key` away: it was restored.
pub async fn remember(call: &Call, key: &str) -> Result<(), Failure> {
    let store = call.env.kv(settings::RECIPES)?;
    store
        .delete(&mark(&format!("/{key}")))
        .await
        .map_err(|error| {
            log::error(
                &call.request_id,
                format_args!("a deletion stays marked: {error}"),
            );
            worker::Error::from(error.to_string()).into()
        })
}

fn mark(path: &str) -> String {
    format!("{MARK}{path}")
}
