//! Asking Durable Objects of this Worker, with an end to every wait: one that is reset on the way never
//! answers.

use std::time::Duration;

use darkroom_shared::problem::Code;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::JsValue;
use worker::Env;
use worker::js_sys::Function;

use crate::border::{self, Answered, Outgoing};
use crate::call::Call;
use crate::failure::Failure;
use crate::sending::Whole;
use crate::{bindings, json, log, settings};

/// Says something to an object in JSON, and reads what it answers.
pub async fn ask<T: DeserializeOwned>(
    env: &Env,
    binding: &'static str,
    name: &str,
    message: &impl Serialize,
    limit: Duration,
) -> Result<T, Failure> {
    let namespace = namespace(env, binding)?;
    let message = serde_json::to_string(message).map_err(worker::Error::from)?;
    let answer = border::ask(&namespace, name, &message, limit).await;
    let answer = answer.map_err(failed)?.ok_or_else(late)?;
    Ok(json::read(answer).map_err(worker::Error::from)?)
}

/// Sends an object a request, and waits for its answer.
pub async fn send(
    env: &Env,
    binding: &'static str,
    name: &str,
    request: Outgoing<'_>,
) -> Result<Whole, Failure> {
    let namespace = namespace(env, binding)?;
    match request.send_to(&namespace, name).await.map_err(failed)? {
        Answered::Whole(answer) => Ok(answer),
        Answered::Begun(_) | Answered::Late => Err(late()),
    }
}

/// Has a call go on for a while where its caller hangs up, and then sends an object this header (name
/// and value, a line each). What is given back takes that back.
pub fn send_when_left(
    call: &Call,
    binding: &'static str,
    name: &str,
    header: &str,
) -> Result<Function, Failure> {
    let namespace = namespace(&call.env, binding)?;
    let (request, context) = (&call.request, call.context.as_ref());
    Ok(border::when_left(
        request, context, &namespace, name, header,
    ))
}

fn namespace(env: &Env, binding: &'static str) -> Result<JsValue, Failure> {
    let namespace = bindings::objects(env, binding);
    namespace.ok_or_else(|| settings::wrong(binding, "is not bound to a Durable Object"))
}

#[expect(clippy::needless_pass_by_value, reason = "called by `map_err`")]
fn failed(error: worker::Error) -> Failure {
    log::error("", format_args!("a Durable Object failed: {error}"));
    unreachable()
}

fn late() -> Failure {
    log::error("", "a Durable Object took too long");
    unreachable()
}

fn unreachable() -> Failure {
    Failure::new(Code::Unavailable, "the edge's books cannot be reached now")
}
