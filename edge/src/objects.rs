//! Asking Durable Objects of this Worker: JSON there, JSON back, with an end to every wait.

use std::pin::pin;
use std::time::Duration;

use darkroom_shared::problem::Code;
use futures_util::future::{Either, select};
use serde::Serialize;
use serde::de::DeserializeOwned;
use worker::js_sys::Object;
use worker::js_sys::futures::JsFuture;
use worker::{Delay, Env, Request, Stub};

use crate::failure::Failure;
use crate::sending::{Whole, read_whole};
use crate::{border, json, log, settings};

/// The object of this name.
pub fn named(env: &Env, binding: &str, name: &str) -> Result<Stub, Failure> {
    let namespace = env
        .durable_object(binding)
        .map_err(|_| settings::wrong(binding, "is not bound to a Durable Object"))?;
    Ok(namespace.get_by_name(name)?)
}

/// Says something to an object in JSON, and reads what it answers.
pub async fn ask<T: DeserializeOwned>(
    object: &Object,
    message: &impl Serialize,
    limit: Duration,
) -> Result<T, Failure> {
    let message = serde_json::to_string(message).map_err(worker::Error::from)?;
    let answer = pin!(async { Ok(JsFuture::from(border::ask_object(object, &message)).await?) });
    let answer = within(answer, limit).await?.as_string();
    Ok(json::read(answer.unwrap_or_default()).map_err(worker::Error::from)?)
}

/// Sends an object a request, and waits for its answer. One that is reset on the way never would:
/// `limit` ends that.
pub async fn send(object: &Stub, request: Request, limit: Duration) -> Result<Whole, Failure> {
    let answer = pin!(async { read_whole(object.fetch_with_request(request).await?).await });
    within(answer, limit).await
}

async fn within<T>(
    answer: impl Future<Output = worker::Result<T>> + Unpin,
    limit: Duration,
) -> Result<T, Failure> {
    match select(answer, Delay::from(limit)).await {
        Either::Left((Ok(answer), _)) => return Ok(answer),
        Either::Left((Err(error), _)) => {
            log::error("", format_args!("a Durable Object failed: {error}"));
        }
        Either::Right(_) => log::error("", "a Durable Object took too long"),
    }
    let detail = "the edge's books cannot be reached now";
    Err(Failure::new(Code::Unavailable, detail))
}
