//! Whose a key is: asked of the store, and then remembered for a moment.

use std::cell::RefCell;

use darkroom_shared::api_key::ApiKey;
use darkroom_shared::kept::Kept;
use darkroom_shared::keys::{Key, KeyRecord};
use darkroom_shared::timestamp::UnixMillis;

use super::store::Store;
use crate::call::{Call, now};
use crate::failure::Failure;

/// Beside what the store takes to spread the word, a revoked key is good for this long.
const KNOWN_MILLIS: UnixMillis = 30_000;
/// A new key that was tried too early is not kept waiting.
const UNKNOWN_MILLIS: UnixMillis = 3_000;
/// A record has half a kilobyte.
const ROOM: usize = 2_000;

thread_local! {
    /// By the digest of a key's text; none where there is no such key.
    static MEMORY: RefCell<Kept<Option<KeyRecord>>> = RefCell::new(Kept::with_room(ROOM));
}

/// There is no such key, or it may not be used now.
pub struct NoKey;

/// The key of this text, as far as the store need not be asked.
pub fn remembered(text: &ApiKey) -> Option<Result<Key, NoKey>> {
    let record = MEMORY.with_borrow(|memory| memory.get(&text.digest(), now()).cloned());
    record.map(|record| accepted(record, text).ok_or(NoKey))
}

/// The key of this text, from the store, if it may be used now.
pub async fn look_up(call: &Call, text: &ApiKey) -> Result<Option<Key>, Failure> {
    let digest = text.digest();
    let record = Store::open(call)?.by_digest(&digest).await?;
    remember(digest, record.clone());
    Ok(accepted(record, text))
}

fn accepted(record: Option<KeyRecord>, text: &ApiKey) -> Option<Key> {
    let accepted = record.filter(|record| record.accepts(text, now()));
    accepted.map(|record| record.key)
}

/// What was changed here is known here at once.
pub(super) fn forget(id: &str) {
    let is_of = |record: &Option<KeyRecord>| record.as_ref().is_some_and(|r| r.key.id == id);
    MEMORY.with_borrow_mut(|memory| memory.forget(is_of));
}

fn remember(digest: String, record: Option<KeyRecord>) {
    let now = now();
    let time = match record {
        Some(_) => KNOWN_MILLIS,
        None => UNKNOWN_MILLIS,
    };
    MEMORY.with_borrow_mut(|memory| memory.put(digest, record, now + time, now));
}
