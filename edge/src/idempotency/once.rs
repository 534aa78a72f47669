//! Answering a call once, however often it is sent.

use std::time::Duration;

use darkroom_shared::openai::form::pieces;
use darkroom_shared::problem::{Code, FieldError, Problem};
use darkroom_shared::request::MAX_BODY;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use wasm_bindgen::JsValue;
use worker::Env;
use worker::js_sys::Uint8Array;

use super::object::{HEADER, Message};
use super::record::{Head, Verdict};
use crate::auth::Caller;
use crate::border::{Lines, Outgoing};
use crate::call::{Call, now};
use crate::delivery::with_addresses;
use crate::failure::{Answer, Failure};
use crate::reply::{Body, Reply};
use crate::sending::{EVENT_STREAM, Whole, media_type};
use crate::{body, json, log, objects, random, respond, settings};

/// The longest key, in bytes.
const MAX_KEY: usize = 255;
/// Bytes of an answer that is looked into before it is replayed. A larger one has its pictures in
/// it, and is passed on as it was kept.
const MAX_READ: u32 = 1 << 20;
/// What an object may take.
const LIMIT: Duration = Duration::from_secs(10);

/// What is special about what a call answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Plain,
    /// Its member `key` is shown once, and kept nowhere: a replay goes without.
    Secret,
}

/// Answers a call by `work`, or as it was answered when it first came under its key. Only POSTs
/// are not safe to send again without one.
pub async fn once(
    mut call: Call,
    caller: &Caller,
    kind: Kind,
    work: impl AsyncFnOnce(Call) -> Answer,
) -> Answer {
    let key = call.header("idempotency-key");
    let Some(key) = key.filter(|_| call.method == "POST") else {
        return work(call).await;
    };
    check(&key)?;
    // Neither has a line break, and both may have anything else between them.
    let object = format!("{}\n{key}", caller.as_str());
    let begin = Message::Begin {
        digest: digest(&call).await?,
        attempt: random::sortable_id(now())?,
    };
    let found = send(&call.env, &object, &begin, JsValue::UNDEFINED).await?;
    let verdict = found.headers.get(HEADER).unwrap_or_default();
    let attempt = match json::read(verdict).map_err(worker::Error::from)? {
        Verdict::Done(head) => return replay(&call, head, found).await,
        Verdict::Running => return Err(running()),
        Verdict::Other => return Err(other()),
        Verdict::Begun(attempt) => attempt,
    };
    call.attempt = Some(attempt.clone());

    // Whoever hangs up mostly comes again: to an answer, or at least to the same job.
    let reopen = Message::Reopen(attempt);
    let message = serde_json::to_string(&reopen).map_err(worker::Error::from)?;
    let header = format!("{HEADER}\n{message}");
    let ends_with_caller =
        objects::send_when_left(&call, settings::IDEMPOTENCY_KEYS, &object, &header)?;
    let answer = first(call, kind, &object, reopen, work).await;
    // A stream is its reader's alone, and all else is done.
    ends_with_caller
        .call0(&JsValue::UNDEFINED)
        .map_err(worker::Error::from)?;
    answer
}

/// Answers a call that has not been answered before, and keeps what is to be replayed.
async fn first(
    call: Call,
    kind: Kind,
    object: &str,
    reopen: Message,
    work: impl AsyncFnOnce(Call) -> Answer,
) -> Answer {
    let (path, request_id) = (call.path.clone(), call.request_id.clone());
    let env = call.env.clone();
    let reply = respond::reply(work(call).await, &path, &request_id);
    if let Some(message) = unless_kept(&reply, reopen) {
        // Where this fails, the next call waits until this one counts as lost.
        if let Err(failure) = send(&env, object, &message, JsValue::UNDEFINED).await {
            log::error(
                &request_id,
                format_args!("a call could not be reopened: {failure}"),
            );
        }
        return Ok(reply);
    }
    let answer = Whole::of(reply).await?;
    if let Err(failure) = keep(&env, &answer, kind, object).await {
        // The work is done and its answer is here: the caller gets it all the same.
        log::error(
            &request_id,
            format_args!("an answer could not be kept: {failure}"),
        );
    }
    Ok(answer.into_reply())
}

/// What becomes of a call whose answer is not kept.
fn unless_kept(reply: &Reply, reopen: Message) -> Option<Message> {
    let is_stream = media_type(&reply.headers) == EVENT_STREAM;
    match reply.status {
        // A job may have been accepted: another one would be made beside it.
        502..=504 => Some(reopen),
        _ if is_stream => Some(reopen),
        429 | 500.. => Some(Message::Forget),
        _ => None,
    }
}

fn check(key: &str) -> Result<(), Failure> {
    let is_printable = |byte: u8| (b' '..=b'~').contains(&byte);
    if (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(is_printable) {
        return Ok(());
    }
    let error = FieldError {
        field: "Idempotency-Key".to_owned(),
        message: format!("must have 1 to {MAX_KEY} printable ASCII characters"),
    };
    Err(Problem::fields(Code::Invalid, vec![error]).into())
}

/// Of all that makes a call what it is.
async fn digest(call: &Call) -> Result<String, Failure> {
    let copy = call.request.clone().map_err(worker::Error::from)?;
    let body = body::read_any(&copy, &call.request_id, MAX_BODY).await?;
    let mut digest = Sha256::new();
    let content_type = call.header("content-type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default();
    let head = [&call.path, &call.query, media_type].map(str::as_bytes);
    for part in head.into_iter().chain(pieces(&content_type, &body)) {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    Ok(hex::encode(digest.finalize()))
}

async fn keep(env: &Env, answer: &Whole, kind: Kind, object: &str) -> Result<(), Failure> {
    let headers = answer.headers.entries();
    let head = Head {
        status: answer.status,
        headers,
    };
    let body = match kind {
        Kind::Plain => answer.bytes.clone(),
        Kind::Secret => without_secret(answer)?,
    };
    let head = serde_json::to_string(&head).map_err(worker::Error::from)?;
    let keep = Message::Keep(head);
    send(env, object, &keep, body.into()).await.map(drop)
}

fn without_secret(answer: &Whole) -> Result<Uint8Array, Failure> {
    let mut body: Value = answer.json().map_err(worker::Error::from)?;
    if let Some(key) = body.get_mut("key") {
        *key = Value::Null;
    }
    Ok(body.to_string().as_bytes().into())
}

async fn send(env: &Env, object: &str, message: &Message, body: JsValue) -> Result<Whole, Failure> {
    let headers = Lines::default();
    let message = serde_json::to_string(message).map_err(worker::Error::from)?;
    headers.set(HEADER, &message);
    let request = Outgoing {
        method: "POST",
        headers,
        body,
        limit: LIMIT,
    };
    objects::send(env, settings::IDEMPOTENCY_KEYS, object, request).await
}

/// Addresses of private images are signed anew: those that were kept may have ended since.
async fn replay(call: &Call, head: Head, found: Whole) -> Answer {
    let reply = Reply::new(head.status);
    for (name, value) in head.headers {
        reply.headers.append(name, value);
    }
    reply.headers.set("idempotency-replayed", "true");
    let is_json = media_type(&reply.headers) == "application/json";
    Ok(if is_json && found.bytes.length() <= MAX_READ {
        reply.bytes(with_addresses(call, found.bytes.to_vec()).await?)
    } else {
        reply.body(Body::Runtime(found.bytes.into()))
    })
}

fn running() -> Failure {
    let problem = Problem {
        retry_after: Some(5),
        ..Problem::new(
            Code::IdempotencyConflict,
            "a call with this Idempotency-Key is being answered; send it again in a moment",
        )
    };
    problem.into()
}

fn other() -> Failure {
    Failure::new(
        Code::IdempotencyMismatch,
        "this Idempotency-Key was sent with another call; take a new key for a new one",
    )
}
