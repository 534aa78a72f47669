//! `/api/keys`: create, list, rotate, revoke.

use darkroom_shared::api_key::ApiKey;
use darkroom_shared::keys::{CreateKey, Issued, Key, KeyRecord, ListKeys, RotateKey};
use serde_json::json;

use super::known::forget;
use super::store::Store;
use crate::call::{Call, now};
use crate::failure::{Answer, Failure};
use crate::reply::Reply;
use crate::routes::not_found;
use crate::{body, random, respond};

/// No body here comes near.
const MAX_BODY: usize = 16 * 1024;

/// Makes a key, and shows its text this one time.
pub async fn create(mut call: Call) -> Answer {
    let body = body::read_json(&mut call, MAX_BODY).await?;
    // Read once: an expiry that is counted from it is told beside it.
    let now = now();
    let request = CreateKey::from_json(&body, now)?;
    let text = ApiKey::from_random(random::key_bytes()?);
    let record = request.into_record(random::sortable_id(now)?, &text, now);
    Store::open(&call)?.put(&record).await?;
    Ok(issued(201, &record.key, &text))
}

/// A page of all keys, oldest first.
pub async fn list(call: &Call) -> Answer {
    let page = ListKeys::from_query(&call.query)?;
    let page = Store::open(call)?.list(page).await?;
    let body = json!({ "items": page.items, "next_cursor": page.next_cursor });
    Ok(respond::json(200, &body))
}

/// Gives a key a new text, and shows that this one time.
pub async fn rotate(mut call: Call) -> Answer {
    let body = body::read_optional_json(&mut call, MAX_BODY).await?;
    let request = RotateKey::from_json(&body)?;
    let store = Store::open(&call)?;
    // `/api/keys/{id}/rotate`
    let mut record = existing(&store, call.path.rsplit('/').nth(1)).await?;
    let text = ApiKey::from_random(random::key_bytes()?);
    let dropped = record.rotate(&text, request.grace_seconds, now());
    store.put(&record).await?;
    store.tidy(dropped.iter().map(String::as_str)).await;
    forget(&record.key.id);
    Ok(issued(200, &record.key, &text))
}

/// Ends a key.
pub async fn revoke(call: &Call) -> Answer {
    let store = Store::open(call)?;
    let record = existing(&store, call.path.rsplit('/').next()).await?;
    store.delete(&record).await?;
    forget(&record.key.id);
    Ok(Reply::new(204).with("cache-control", "no-store"))
}

async fn existing(store: &Store<'_>, id: Option<&str>) -> Result<KeyRecord, Failure> {
    let record = store.by_id(id.unwrap_or_default()).await?;
    record.ok_or_else(not_found)
}

fn issued(status: u16, key: &Key, text: &ApiKey) -> Reply {
    let issued = Issued {
        about: key,
        key: text.expose(),
    };
    respond::json(status, &json!(issued))
}
