//! The Durable Object of one idempotency key.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use worker::{DurableObject, Env, Request, Response, ResponseBuilder, State, durable_object};

use super::record::{Record, Verdict};
use crate::call::now;
use crate::json;

/// How long an answer is replayed.
const MEMORY: Duration = Duration::from_hours(24);
/// Carries a [`Message`] to the object, and a [`Verdict`] back: bodies are answers' own.
pub const HEADER: &str = "darkroom-idempotency";

/// What the object is told.
#[derive(Serialize, Deserialize)]
pub(super) enum Message {
    /// A call has come.
    Begin {
        /// Of all that makes it what it is.
        digest: String,
        /// What it shall be called, if it is the first.
        attempt: String,
    },
    /// It was answered with this [`Head`](super::record::Head), as JSON, and the body.
    Keep(String),
    /// It has no answer that should be kept, but what it began may still be under way: it is to be
    /// answered again, under this same id. What has begun since under another is left alone.
    Reopen(String),
    /// It came to nothing.
    Forget,
}

/// One idempotency key.
#[durable_object(alarm)]
pub struct IdempotencyKey {
    state: State,
}

impl DurableObject for IdempotencyKey {
    fn new(state: State, _env: Env) -> Self {
        Self { state }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let message = request.headers().get(HEADER)?.unwrap_or_default();
        let record = Record::open(&self.state)?;
        match json::read(message)? {
            Message::Begin { digest, attempt } => {
                let verdict = record.begin(&digest, &attempt, now())?;
                let body = match verdict {
                    Verdict::Done(_) => record.body()?,
                    _ => Vec::new(),
                };
                if matches!(verdict, Verdict::Begun(_)) {
                    self.state.storage().set_alarm(MEMORY).await?;
                }
                Ok(ResponseBuilder::new()
                    .with_header(HEADER, &serde_json::to_string(&verdict)?)?
                    .fixed(body))
            }
            Message::Keep(head) => {
                record.keep(&head, &request.bytes().await?)?;
                Response::empty()
            }
            Message::Reopen(attempt) => {
                record.reopen(&attempt)?;
                Response::empty()
            }
            Message::Forget => {
                record.forget()?;
                Response::empty()
            }
        }
    }

    async fn alarm(&self) -> worker::Result<Response> {
        // With its database: each call has one of its own.
        self.state.storage().delete_all().await?;
        Response::empty()
    }
}
