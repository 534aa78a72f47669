//! The edge: a Cloudflare Worker between the world and the origin.
//!
//! A request becomes a [`call::Call`] (its parts, and an id), finds its handler in the one
//! table of [`routes`], proves who asks ([`auth`], by a key that [`keys`] knows or by one of
//! [`tokens`]), is charged for it ([`allowance`]), and is answered: generate calls are checked by
//! what the origin offers ([`models`]) and given a seed ([`generate`]), other API calls are passed
//! on as they are ([`passing`]), OpenAI's clients find their own API ([`openai`]), keys are managed here ([`keys`]), pictures come from the cache or
//! the origin ([`pictures`]), private ones to who has a signed URL ([`delivery`]), health
//! ([`health`]) needs neither key nor signature. All that goes to the origin goes through
//! [`origin`], signed, to whichever is well ([`attempts`]), and on through [`sending`], within a
//! limit of time; all that comes back to the caller goes through [`respond`] and leaves in an
//! [`envelope`]: headers for browsers ([`cors`]), and a line in the log ([`observed`]). What crosses
//! the border to the runtime each time goes through [`border`] and [`bindings`].
//!
//! Rules and wire formats are `darkroom-shared`'s: here is only what needs a Worker.

// Nothing here may panic: that would end the wasm instance, and with it every request that it has.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::get_unwrap,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unimplemented,
    clippy::unreachable,
    clippy::unwrap_used
)]

mod allowance;
mod attempts;
mod auth;
mod bindings;
mod body;
mod border;
mod call;
mod cors;
mod delivery;
mod envelope;
mod failure;
mod finished;
mod flights;
mod generate;
mod health;
mod idempotency;
mod images;
mod json;
mod keys;
mod kv;
mod log;
mod models;
mod objects;
mod observed;
mod openai;
mod order;
mod origin;
mod passing;
mod pictures;
mod posts;
mod random;
mod reply;
mod respond;
mod routes;
mod sending;
mod settings;
mod sql;
mod tokens;
mod webcrypto;

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::{Context, Env, ScheduleContext, ScheduledEvent, event, worker_sys};

/// Answers a request. `#[event(fetch)]` would take more of it apart than most requests need.
///
/// # Errors
/// Where the runtime refuses the answer, which `entry.js` then has to give.
#[wasm_bindgen(js_sys = worker::js_sys, wasm_bindgen_futures = worker::wasm_bindgen_futures)]
pub async fn fetch(
    request: web_sys::Request,
    env: Env,
    context: worker_sys::Context,
) -> Result<web_sys::Response, JsValue> {
    let call = call::Call::new(request, env, Context::new(context));
    let (path, request_id) = (call.path.clone(), call.request_id.clone());
    let envelope = envelope::Envelope::of(&call);
    let answer = routes::dispatch(call).await;
    let reply = respond::reply(answer, &path, &request_id);
    Ok(envelope.close(reply, &request_id)?)
}

/// As often as `wrangler.toml` says.
#[event(scheduled)]
async fn scheduled(_: ScheduledEvent, env: Env, _: ScheduleContext) {
    keys::clean_up(&env).await;
}
