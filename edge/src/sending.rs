//! Sending to the origin, with an end to every wait.

use std::pin::pin;
use std::time::Duration;

use darkroom_shared::problem::Code;
use futures_util::future::{Either, select};
use serde::de::DeserializeOwned;
use worker::js_sys::Uint8Array;
use worker::js_sys::futures::JsFuture;
use worker::worker_sys::web_sys;
use worker::{
    AbortController, AbortSignal, CacheMode, Delay, Fetch, Headers, Request, RequestInit,
    RequestRedirect, Response, ResponseBody,
};

use crate::failure::Failure;
use crate::{json, log};

/// The media type of Server-Sent Events.
pub const EVENT_STREAM: &str = "text/event-stream";

/// An answer that has come to its end.
pub struct Whole {
    /// Of any value: what it means is for others to judge.
    pub status: u16,
    /// As they came.
    pub headers: Headers,
    /// All of its body.
    pub bytes: Uint8Array,
}

impl Whole {
    /// What a text of JSON would be as an answer.
    pub fn json_text(text: &str) -> worker::Result<Self> {
        let headers = Headers::new();
        headers.set("content-type", "application/json")?;
        Ok(Self {
            status: 200,
            headers,
            bytes: text.as_bytes().into(),
        })
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

/// A request that is about to be sent.
pub struct Sending<'a> {
    /// Absolute.
    pub url: String,
    /// Method, headers, body.
    pub init: RequestInit,
    /// How long to wait for what is asked for.
    pub limit: Duration,
    /// For the log.
    pub request_id: &'a str,
}

impl Sending<'_> {
    /// Waits for the answer's end: what breaks off or hangs on the way is no answer.
    pub async fn whole(mut self) -> Result<Whole, Failure> {
        let fetch = self.fetch()?;
        self.within_limit(async |signal| read_whole(fetch.send_with_signal(&signal).await?).await)
            .await
    }

    /// The same, but of a stream of events only its beginning is waited for; how long it then
    /// goes on is its own affair.
    pub async fn opened(mut self) -> Result<Opened, Failure> {
        let fetch = self.fetch()?;
        self.within_limit(async |signal| {
            let response = fetch.send_with_signal(&signal).await?;
            if response.status_code() == 200 && media_type(response.headers())? == EVENT_STREAM {
                Ok(Opened::Events(response))
            } else {
                read_whole(response).await.map(Opened::Whole)
            }
        })
        .await
    }

    /// An origin never redirects, and its answers are cached by us or not at all.
    fn fetch(&mut self) -> worker::Result<Fetch> {
        self.init
            .with_redirect(RequestRedirect::Manual)
            .with_cache(CacheMode::NoStore);
        let request = Request::new_with_init(&self.url, &self.init)?;
        Ok(Fetch::Request(request))
    }

    async fn within_limit<T>(
        &self,
        work: impl AsyncFnOnce(AbortSignal) -> worker::Result<T>,
    ) -> Result<T, Failure> {
        let controller = AbortController::default();
        let work = pin!(work(controller.signal()));
        match select(work, Delay::from(self.limit)).await {
            Either::Left((result, _)) => result.map_err(|error| {
                // The runtime's message may hold the origin's address: it is for the log alone.
                let message = format_args!("the origin did not answer: {error}");
                log::error(self.request_id, message);
                unreachable_origin()
            }),
            Either::Right(_) => {
                controller.abort();
                log::error(self.request_id, "the origin took too long");
                let detail = "the origin took too long to answer";
                Err(Failure::new(Code::OriginTimeout, detail))
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
pub fn media_type(headers: &Headers) -> worker::Result<String> {
    let header = headers.get("content-type")?.unwrap_or_default();
    let media_type = header.split(';').next().unwrap_or_default().trim();
    Ok(media_type.to_ascii_lowercase())
}

/// Reads a body to its end, outside the wasm's memory, where nothing would ever give it back.
pub async fn read_bytes(body: ResponseBody) -> worker::Result<Uint8Array> {
    let stream = match body {
        ResponseBody::Stream(stream) => Some(stream),
        ResponseBody::Body(bytes) => return Ok(bytes.as_slice().into()),
        ResponseBody::Empty => None,
    };
    let response = web_sys::Response::new_with_opt_readable_stream(stream.as_ref())?;
    let buffer = JsFuture::from(response.array_buffer()?).await?;
    Ok(Uint8Array::new(&buffer))
}

/// Reads an answer to its end.
pub async fn read_whole(response: Response) -> worker::Result<Whole> {
    Ok(Whole {
        status: response.status_code(),
        headers: response.headers().clone(),
        bytes: read_bytes(response.into_parts().1).await?,
    })
}
