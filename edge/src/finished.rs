//! Recipes that were made: what was answered then is answered again, with no call to the origin.
//!
//! They are kept in KV, which spreads what is written, and what is forgotten, within a minute.

use std::cell::RefCell;

use darkroom_shared::kept::Kept;
use darkroom_shared::recipe::{Recipe, hash};
use darkroom_shared::request::Visibility;
use darkroom_shared::timestamp::UnixMillis;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::call::{Call, now};
use crate::failure::Failure;
use crate::{bindings, json, log, pictures, settings};

/// A month. Whoever asks later has the picture made anew.
const MEMORY_SECONDS: u64 = 30 * 86_400;

/// How long a place knows that it has kept an answer, so that a job that is asked after again and
/// again is written once.
const KNOWN_MILLIS: UnixMillis = 3_600_000;
/// A name has 80 bytes.
const ROOM: usize = 5_000;

thread_local! {
    /// The answers that this isolate has kept.
    static KEPT: RefCell<Kept<()>> = RefCell::new(Kept::with_room(ROOM));
}

/// What the pictures of a recipe and its `n - 1` successors are kept under, and what their flight
/// is called. Public ones are everybody's, private ones their account's: told by a digest, since a
/// name in KV may have 512 bytes and a token's account more.
pub fn name(hash: &str, n: u32, visibility: Visibility, account: &str) -> String {
    match visibility {
        Visibility::Public => format!("public:{hash}:{n}"),
        Visibility::Private => {
            let account = hex::encode(Sha256::digest(account));
            format!("private:{account}:{hash}:{n}")
        }
    }
}

/// What was answered when the recipe was made. That it cannot be looked up keeps nobody from
/// having it made. An answer whose pictures were deleted is none: it may have been on its way here
/// when they were, or be one that a place has not heard of being forgotten.
pub async fn find(call: &Call, name: &str) -> Option<Value> {
    let found = look_up(call, name).await?;
    let keys = keys_of(&found);
    if pictures::is_any_deleted(call, keys).await {
        forget_kept(name);
        return None;
    }
    Some(found)
}

async fn look_up(call: &Call, name: &str) -> Option<Value> {
    let text = match bindings::recipes(&call.env)?.read(name).await {
        Ok(text) => text?,
        Err(error) => {
            log::error(
                &call.request_id,
                format_args!("no finished recipes: {error}"),
            );
            return None;
        }
    };
    let found = json::read(&text);
    let found = found.inspect_err(|error| {
        log::error(
            &call.request_id,
            format_args!("a finished recipe is unreadable: {error}"),
        );
    });
    found.ok()
}

fn keys_of(answer: &Value) -> impl Iterator<Item = &str> {
    let images = answer.get("images").and_then(Value::as_array);
    let keys = images.into_iter().flatten().map(|image| image.get("key"));
    keys.flatten().filter_map(Value::as_str)
}

/// Keeps an answer, behind the caller's back: one that could not be kept is made again.
pub fn keep(call: &Call, name: String, answer: String) {
    let Some(store) = bindings::recipes(&call.env) else {
        return;
    };
    let is_kept = |kept: &mut Kept<()>| {
        let is_kept = kept.get(&name, now()).is_some();
        kept.put(name.clone(), (), now() + KNOWN_MILLIS, now());
        is_kept
    };
    if KEPT.with_borrow_mut(is_kept) {
        return;
    }
    let request_id = call.request_id.clone();
    call.context.wait_until(async move {
        let options = json!({ "expirationTtl": MEMORY_SECONDS });
        if let Err(error) = store.keep(&name, &answer, &options).await {
            log::error(
                &request_id,
                format_args!("a finished recipe could not be kept: {error}"),
            );
            forget_kept(&name);
        }
    });
}

/// Keeps the answer that a generate call would have had, had it waited for this job. One that is
/// not all there is left alone.
pub fn keep_job(call: &Call, job: &Value, account: &str) {
    if let Some((name, generated)) = as_generated(job, account) {
        keep(call, name, generated.to_string());
    }
}

/// [`Generated`](darkroom_shared::job::Generated) of a job, and the name of its recipe.
fn as_generated(job: &Value, account: &str) -> Option<(String, Value)> {
    let images = job.get("images")?.as_array()?;
    let first = images.first()?;
    let (n, recipe) = (images.len() as u64, job.get("recipe")?);
    let steps = job.pointer("/progress/steps")?.as_u64()?;
    let steps_of_one = json::read::<Recipe>(recipe.to_string()).ok()?.steps_taken();
    let is_whole = steps == u64::from(steps_of_one).checked_mul(n)?;
    if job.get("status")? != "succeeded" || !is_whole {
        return None;
    }
    let visibility = json::read::<Visibility>(first.get("visibility")?.to_string()).ok()?;
    let name = name(&hash(recipe).ok()?, n as u32, visibility, account);
    let generated = json!({
        "job": job, "images": images, "image_url": first.get("url")?, "cached": false,
        "recipe": recipe,
    });
    Some((name, generated))
}

/// Forgets an answer.
pub async fn forget(call: &Call, name: &str) -> Result<(), Failure> {
    forget_kept(name);
    let store = bindings::recipes(&call.env).ok_or_else(|| settings::unbound(settings::RECIPES))?;
    let forgotten = store.forget(name).await;
    forgotten.inspect_err(|error| {
        log::error(
            &call.request_id,
            format_args!("a recipe could not be forgotten: {error}"),
        );
    })?;
    Ok(())
}

fn forget_kept(name: &str) {
    KEPT.with_borrow_mut(|kept| kept.put(name.to_owned(), (), now(), now()));
}
