//! A picture's answer: its status, and as much of the picture as is wanted.

use darkroom_shared::problem::{Code, FieldError, Problem};

use super::part::{Conditions, Part};
use crate::call::Call;
use crate::failure::Answer;
use crate::reply::{Body, Headers, Reply};
use crate::respond;

/// A picture that was found, before it is known how much of it is wanted.
pub(super) struct Found {
    /// Those of the whole picture, where it was not kept.
    pub headers: Headers,
    /// What the cache gave, with its headers.
    pub kept: Option<web_sys::Response>,
    /// Where it was found.
    pub cache_status: &'static str,
    /// What others may do with it.
    pub cache_control: &'static str,
}

/// Answers a call with a picture that was found, whose bytes are these.
pub(super) async fn answer(call: &Call, found: Found, body: Body) -> Answer {
    let conditions = conditions(call);
    let (etag, length) = if conditions.are_none() {
        // Nobody asks for them, and to read them costs something.
        Default::default()
    } else {
        let header = |name| found.header(name).unwrap_or_default();
        let length = header("content-length").parse();
        (header("etag"), length.unwrap_or_default())
    };
    let part = conditions.part_of(&etag, length);
    match part {
        Part::Other => {
            let message = format!("must be the picture's tag, {etag}");
            return Ok(refusal(call, 412, "If-Match", message));
        }
        Part::OutOfRange => {
            let message = format!("must begin within the picture's {length} bytes");
            let reply = refusal(call, 416, "Range", message);
            return Ok(reply.with("content-range", format!("bytes */{length}")));
        }
        Part::All | Part::Nothing | Part::Range(..) => {}
    }
    call.observed.cached(found.cache_status);
    call.added.set("cache-control", found.cache_control);
    let (status, body) = match part {
        Part::Range(first, last) => {
            let range = format!("bytes {first}-{last}/{length}");
            call.added.set("content-range", &range);
            call.added
                .set("content-length", &(last - first + 1).to_string());
            let body = match (body, &found.kept) {
                (Body::Kept, Some(kept)) => kept.body().map_or(Body::Empty, Body::from),
                (body, _) => body,
            };
            let bytes = body.read().await?;
            let part = bytes.subarray(first, last + 1);
            (206, Body::Runtime(part.into()))
        }
        Part::Nothing => (304, Body::Empty),
        _ if call.method == "HEAD" => (200, Body::Empty),
        _ => (200, body),
    };
    Ok(Reply {
        status,
        headers: found.headers,
        body,
        kept: found.kept,
    })
}

impl Found {
    fn header(&self, name: &str) -> Option<String> {
        match &self.kept {
            Some(kept) => kept.headers().get(name).ok().flatten(),
            None => self.headers.get(name),
        }
    }
}

fn conditions(call: &Call) -> Conditions {
    let header = |name| call.header(name).unwrap_or_default();
    let range = match call.method.as_str() {
        "GET" => header("range"),
        // Of other methods a range says nothing.
        _ => String::new(),
    };
    Conditions {
        if_match: header("if-match"),
        if_none_match: header("if-none-match"),
        if_range: header("if-range"),
        range,
    }
}

fn refusal(call: &Call, status: u16, field: &str, message: String) -> Reply {
    let error = FieldError {
        field: field.to_owned(),
        message,
    };
    let problem = Problem {
        status,
        ..Problem::fields(Code::Invalid, vec![error])
    };
    respond::problem(problem, &call.request_id)
}
