//! Sending to the origin, with an end to every wait.

use darkroom_shared::problem::Code;
use serde::de::DeserializeOwned;
use worker::Response;
use worker::js_sys::Uint8Array;

use crate::border::{Answered, Outgoing};
use crate::failure::Failure;
use crate::reply::{Body, Headers, Reply};
use crate::{json, log};

/// The media type of Server-Sent Events.
pub const EVENT_STREAM: &str = "text/event-stream";

/// An answer that has come to its end.
#[derive(Clone)]
pub struct Whole {
    /// Of any value: what it means is for others to judge.
    pub status: u16,
    /// Those that count.
    pub headers: Headers,
    /// All of its body.
    pub bytes: Uint8Array,
}

impl Whole {
    /// What a text of JSON would be as an answer.
    pub fn json_text(text: &str) -> Self {
        let headers = Headers::default();
        headers.set("content-type", "application/json");
        Self {
            status: 200,
            headers,
            bytes: text.as_bytes().into(),
        }
    }

    /// An answer of ours, read to its end.
    pub async fn of(reply: Reply) -> worker::Result<Self> {
        Ok(Self {
            status: reply.status,
            headers: reply.headers,
            bytes: reply.body.read().await?,
        })
    }

    /// The same as an answer of ours.
    pub fn into_reply(self) -> Reply {
        Reply {
            headers: self.headers,
            ..Reply::new(self.status)
        }
        .body(Body::Runtime(self.bytes.into()))
    }

    /// Its body as a text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.to_vec()).into_owned()
    }

    /// Its body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        json::read(self.bytes.to_vec())
    }
}

/// What may be a stream of events.
pub enum Opened {
    /// It is one.
    Events(Response),
    /// It is something else.
    Whole(Whole),
}

/// A request that is about to be sent to an origin.
pub struct Sending<'a> {
    /// Absolute.
    pub url: String,
    /// What is sent.
    pub request: Outgoing<'a>,
    /// For the log.
    pub request_id: &'a str,
}

impl Sending<'_> {
    /// Waits for the answer's end: what breaks off or hangs on the way is no answer.
    pub async fn whole(self) -> Result<Whole, Failure> {
        match self.exchange("").await? {
            Opened::Whole(whole) => Ok(whole),
            Opened::Events(_) => Err(unreachable_origin()),
        }
    }

    /// The same, but of a stream of events only its beginning is waited for; how long it then
    /// goes on is its own affair.
    pub async fn opened(self) -> Result<Opened, Failure> {
        self.exchange(EVENT_STREAM).await
    }

    async fn exchange(self, unread: &str) -> Result<Opened, Failure> {
        match self.request.send(&self.url, unread).await {
            Ok(Answered::Whole(whole)) => Ok(Opened::Whole(whole)),
            Ok(Answered::Begun(response)) => Ok(Opened::Events(response)),
            Ok(Answered::Late) => {
                log::error(self.request_id, "the origin took too long");
                let detail = "the origin took too long to answer";
                Err(Failure::new(Code::OriginTimeout, detail))
            }
            Err(error) => {
                // The runtime's message may hold the origin's address: it is for the log alone.
                let message = format_args!("the origin did not answer: {error}");
                log::error(self.request_id, message);
                Err(unreachable_origin())
            }
        }
    }
}

/// What is said of an origin that is down, or behind something that answers for it.
pub fn unreachable_origin() -> Failure {
    Failure::new(
        Code::OriginUnreachable,
        "the origin cannot be reached; try again in a moment",
    )
}

/// The media type in an answer's headers, without its parameters.
pub fn media_type(headers: &Headers) -> String {
    let header = headers.get("content-type").unwrap_or_default();
    let media_type = header.split(';').next().unwrap_or_default().trim();
    media_type.to_ascii_lowercase()
}
