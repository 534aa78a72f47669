//! Recipes that were made: what was answered then is answered again, with no call to the origin.
//!
//! They are kept in KV, which spreads what is written, and what is forgotten, within a minute.

use darkroom_shared::request::Visibility;
use serde_json::Value;
use worker::kv::KvStore;
use worker::{Env, console_error};

use crate::call::Call;
use crate::failure::Failure;
use crate::settings;

/// A month. Whoever asks later has the picture made anew.
const MEMORY_SECONDS: u64 = 30 * 86_400;

/// What the pictures of a recipe and its `n - 1` successors are kept under, and what their flight
/// is called. Public ones are everybody's, private ones their account's.
pub fn name(hash: &str, n: u32, visibility: Visibility, account: &str) -> String {
    match visibility {
        Visibility::Public => format!("public:{hash}:{n}"),
        Visibility::Private => format!("private:{account}:{hash}:{n}"),
    }
}

/// What was answered when the recipe was made. That it cannot be looked up keeps nobody from
/// having it made.
pub async fn find(call: &Call, name: &str) -> Option<Value> {
    let text = match store(&call.env).ok()?.get(name).text().await {
        Ok(text) => text?,
        Err(error) => {
            console_error!("{}: no finished recipes: {error}", call.request_id);
            return None;
        }
    };
    let found = serde_json::from_str(&text);
    let found = found.inspect_err(|error| {
        console_error!(
            "{}: a finished recipe is unreadable: {error}",
            call.request_id
        );
    });
    found.ok()
}

/// Keeps an answer, behind the caller's back: one that could not be kept is made again.
pub fn keep(call: &Call, name: String, answer: String) {
    let Ok(store) = store(&call.env) else {
        return;
    };
    let request_id = call.request_id.clone();
    call.context.wait_until(async move {
        let kept = async {
            let put = store.put(&name, answer)?;
            put.expiration_ttl(MEMORY_SECONDS).execute().await
        };
        if let Err(error) = kept.await {
            console_error!("{request_id}: a finished recipe could not be kept: {error}");
        }
    });
}

/// Forgets an answer.
pub async fn forget(call: &Call, name: &str) -> Result<(), Failure> {
    store(&call.env)?.delete(name).await.map_err(|error| {
        console_error!(
            "{}: a recipe could not be forgotten: {error}",
            call.request_id
        );
        worker::Error::from(error.to_string()).into()
    })
}

fn store(env: &Env) -> Result<KvStore, Failure> {
    env.kv(settings::RECIPES)
        .map_err(|_| settings::wrong(settings::RECIPES, "is not bound to a KV namespace"))
}
