//! What goes back to the caller.

use darkroom_shared::problem::{self, Code, Problem};
use serde::de::IgnoredAny;

use crate::call::Call;
use crate::delivery::with_addresses;
use crate::failure::{Answer, Failure};
use crate::reply::{Headers, Reply};
use crate::sending::{EVENT_STREAM, Whole, media_type, unreachable_origin};
use crate::settings::Origin;
use crate::{json, log, openai};

/// Headers of the origin's answers that are meant for the caller.
const PASSED_ON: [&str; 3] = ["content-type", "retry-after", "preference-applied"];
const NO_CONTENT: u16 = 204;

/// Turns whatever a handler ended in into the answer at this path.
pub fn reply(answer: Answer, path: &str, request_id: &str) -> Reply {
    let reply = match answer {
        Ok(reply) => reply,
        Err(Failure::Limited(limited)) => {
            let (problem, left) = *limited;
            let reply = self::problem(problem, request_id);
            left.write(&reply.headers);
            reply
        }
        Err(failure) => self::problem(failure.into_problem(request_id), request_id),
    };
    if path.starts_with(openai::PREFIX) {
        openai::translated(reply)
    } else {
        reply
    }
}

/// A problem document, with the headers that belong to its code.
pub fn problem(mut problem: Problem, request_id: &str) -> Reply {
    problem.request_id = Some(request_id.to_owned());
    let mut reply = Reply::new(problem.status)
        .with("content-type", problem::CONTENT_TYPE)
        .with("cache-control", "no-store");
    if let Some(seconds) = problem.retry_after_seconds() {
        reply = reply.with("retry-after", seconds.to_string());
    }
    if problem.code == Code::Unauthorized {
        reply = reply.with("www-authenticate", "Bearer");
    }
    reply.bytes(problem.to_json().into_bytes())
}

/// A small JSON answer of the edge's own.
pub fn json(status: u16, body: &serde_json::Value) -> Reply {
    json_bytes(status, body.to_string().into_bytes())
}

/// The same of JSON that is written already.
pub fn json_bytes(status: u16, body: Vec<u8>) -> Reply {
    Reply::new(status)
        .with("content-type", "application/json")
        .with("cache-control", "no-store")
        .bytes(body)
}

/// Passes the origin's answer on: status, body with the addresses of private images signed, and
/// the headers that are meant for callers.
///
/// # Errors
/// What did not come from an origin, or speaks of the edge's own signature, is a problem of
/// ours and not the caller's.
pub async fn relay(call: &Call, answer: &Whole, origin: &Origin) -> Answer {
    let status = answer.status;
    let media_type = media_type(&answer.headers);
    let body = answer.bytes.to_vec();
    let is_json = || {
        let text = str::from_utf8(&body);
        text.is_ok_and(|text| json::read::<IgnoredAny>(text).is_ok())
    };
    let is_ours = match (status, media_type.as_str()) {
        (NO_CONTENT, _) => true,
        // The caller's key was good when the edge asked: what the origin refuses is the edge.
        (401, _) => false,
        (200..300, "application/json") | (400..600, problem::CONTENT_TYPE) => is_json(),
        _ => false,
    };
    if !is_ours {
        let message = format!("not the answer of an origin that knows us: {status} {media_type}");
        log::error(&call.request_id, message);
        return Err(unreachable_origin());
    }

    let mut reply = Reply::new(status).with("cache-control", "no-store");
    for name in PASSED_ON {
        if let Some(value) = answer.headers.get(name) {
            reply = reply.with(name, value);
        }
    }
    if let Some(path) = public_location(&answer.headers, origin) {
        reply = reply.with("location", path);
    }
    // The runtime throws where this status comes with a body, even an empty one.
    Ok(match status {
        NO_CONTENT => reply,
        _ => reply.bytes(with_addresses(call, body).await?),
    })
}

/// A stream of events, still without it.
pub fn events() -> Reply {
    Reply::new(200)
        .with("content-type", EVENT_STREAM)
        // Compressing on the way would hold events back.
        .with("cache-control", "no-cache, no-transform")
}

/// The path of an answer's `Location`: an address would be one that only the edge can reach.
fn public_location(headers: &Headers, origin: &Origin) -> Option<String> {
    let location = headers.get("location").unwrap_or_default();
    let within = |url: &String| location.strip_prefix(url.as_str());
    let path = origin.urls.iter().find_map(within).unwrap_or(&location);
    let is_path = path.starts_with('/') && !path.starts_with("//");
    is_path.then(|| path.to_owned())
}
