//! Forgetting what is of no more use: keys that expired long ago, and digests that lead nowhere
//! because a change stopped half way.
//!
//! Each run looks at so many entries and no more, and the next one goes on where it ended.

use darkroom_shared::keys::{Key, KeyRecord};
use darkroom_shared::timestamp::UnixMillis;
use serde_json::{Value, json};
use worker::{Env, console_log};

use super::store::{DIGEST, RECORD, Store, WRITTEN_AT};
use crate::call::now;
use crate::failure::Failure;
use crate::kv::Entry;
use crate::{json, log, random};

/// At most four questions for each of them: below what one run of a Worker may ask.
const ENTRIES: u64 = 100;
/// A digest is written before its record, and seen elsewhere before it or after: one that is
/// younger may yet lead somewhere.
const SETTLED_MILLIS: UnixMillis = 86_400_000;

/// What a run did.
#[derive(Default)]
struct Done {
    looked_at: usize,
    keys: usize,
    digests: usize,
    failed: usize,
}

/// Looks at some of the entries, and says in the log what became of them.
pub async fn clean_up(env: &Env) {
    let id = random::request_id().to_string();
    let begun = now();
    match run(env, &id).await {
        Ok(done) => {
            let line = json!({
                "level": "info",
                "message": "cleaned up the keys",
                "looked_at": done.looked_at,
                "keys": done.keys,
                "digests": done.digests,
                "failed": done.failed,
                "milliseconds": now().saturating_sub(begun),
                "request_id": id,
            });
            console_log!("{line}");
        }
        Err(failure) => log::error(&id, format_args!("the clean-up failed: {failure}")),
    }
}

async fn run(env: &Env, id: &str) -> Result<Done, Failure> {
    let store = Store::bound(env, id)?;
    let place = store.place().await?;
    let page = match store.entries(ENTRIES, place.clone()).await {
        // A place may be too old for the store: then all begins anew.
        Err(_) if place.is_some() => store.entries(ENTRIES, None).await?,
        page => page?,
    };
    let mut done = Done {
        looked_at: page.keys.len(),
        ..Done::default()
    };
    for entry in &page.keys {
        let (cleaned, count) = if let Some(id) = entry.name.strip_prefix(RECORD) {
            (clean_key(&store, id, entry).await, &mut done.keys)
        } else if let Some(digest) = entry.name.strip_prefix(DIGEST) {
            let cleaned = clean_digest(&store, digest, entry).await;
            (cleaned, &mut done.digests)
        } else {
            continue;
        };
        match cleaned {
            Ok(is_gone) => *count += usize::from(is_gone),
            // The store has said why. One that cannot be read must not hold up the others.
            Err(_) => done.failed += 1,
        }
    }
    store.set_place(&page.next().unwrap_or_default()).await?;
    Ok(done)
}

async fn clean_key(store: &Store<'_>, id: &str, entry: &Entry) -> Result<bool, Failure> {
    let is_past = json::read::<Key>(entry.metadata.to_string()).is_ok_and(|key| key.is_past(now()));
    if !is_past {
        return Ok(false);
    }
    // What lies beside a record may be older than it.
    match store.by_id(id).await? {
        Some(record) if record.key.is_past(now()) => store.delete(&record).await.map(|()| true),
        _ => Ok(false),
    }
}

async fn clean_digest(store: &Store<'_>, digest: &str, entry: &Entry) -> Result<bool, Failure> {
    let written_at = entry.metadata.get(WRITTEN_AT).and_then(Value::as_i64);
    if now().saturating_sub(written_at.unwrap_or_default()) < SETTLED_MILLIS {
        return Ok(false);
    }
    let record = store.by_digest(digest).await?;
    let leads_somewhere = |record: &KeyRecord| record.knows(digest, now());
    if record.as_ref().is_some_and(leads_somewhere) {
        return Ok(false);
    }
    store.tidy([digest].into_iter()).await;
    Ok(true)
}
