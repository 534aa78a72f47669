//! What goes back to the caller.

use darkroom_shared::problem::{self, Code, Problem};
use worker::{Headers, Response, ResponseBuilder};

use crate::call::Call;
use crate::delivery::with_addresses;
use crate::failure::{Answer, Failure};
use crate::sending::{EVENT_STREAM, Whole, media_type, unreachable_origin};
use crate::settings::Origin;
use crate::{json, log, openai};

/// Headers of the origin's answers that are meant for the caller.
const PASSED_ON: [&str; 3] = ["content-type", "retry-after", "preference-applied"];
const NO_CONTENT: u16 = 204;

/// Turns whatever a handler ended in into the answer at this path.
pub fn response(answer: Answer, path: &str, request_id: &str) -> worker::Result<Response> {
    let response = match answer {
        Ok(response) => response,
        Err(Failure::Limited(limited)) => {
            let (problem, left) = *limited;
            let response = self::problem(problem, request_id)?;
            left.write(response.headers())?;
            response
        }
        Err(failure) => self::problem(failure.into_problem(request_id), request_id)?,
    };
    if path.starts_with(openai::PREFIX) {
        openai::translated(response)
    } else {
        Ok(response)
    }
}

/// A problem document, with the headers that belong to its code.
pub fn problem(mut problem: Problem, request_id: &str) -> worker::Result<Response> {
    problem.request_id = Some(request_id.to_owned());
    let headers = Headers::new();
    headers.set("content-type", problem::CONTENT_TYPE)?;
    headers.set("cache-control", "no-store")?;
    if let Some(seconds) = problem.retry_after_seconds() {
        headers.set("retry-after", &seconds.to_string())?;
    }
    if problem.code == Code::Unauthorized {
        headers.set("www-authenticate", "Bearer")?;
    }
    Ok(ResponseBuilder::new()
        .with_status(problem.status)
        .with_headers(headers)
        .fixed(problem.to_json().into_bytes()))
}

/// A small JSON answer of the edge's own.
pub fn json(status: u16, body: &serde_json::Value) -> Answer {
    json_bytes(status, body.to_string().into_bytes())
}

/// The same of JSON that is written already.
pub fn json_bytes(status: u16, body: Vec<u8>) -> Answer {
    Ok(ResponseBuilder::new()
        .with_status(status)
        .with_header("content-type", "application/json")?
        .with_header("cache-control", "no-store")?
        .fixed(body))
}

/// Passes the origin's answer on: status, body with the addresses of private images signed, and
/// the headers that are meant for callers.
///
/// # Errors
/// What did not come from an origin, or speaks of the edge's own signature, is a problem of
/// ours and not the caller's.
pub async fn relay(call: &Call, answer: &Whole, origin: &Origin) -> Answer {
    let status = answer.status;
    let media_type = media_type(&answer.headers)?;
    let body = answer.bytes.to_vec();
    let is_json = || json::read::<serde_json::Value>(&body).is_ok();
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

    let headers = Headers::new();
    for name in PASSED_ON {
        if let Some(value) = answer.headers.get(name)? {
            headers.set(name, &value)?;
        }
    }
    if let Some(path) = public_location(&answer.headers, origin)? {
        headers.set("location", &path)?;
    }
    headers.set("cache-control", "no-store")?;
    let response = ResponseBuilder::new()
        .with_status(status)
        .with_headers(headers);
    // The runtime throws where this status comes with a body, even an empty one.
    Ok(match status {
        NO_CONTENT => response.empty(),
        _ => response.fixed(with_addresses(call, body).await?),
    })
}

/// Passes a stream of events on as it comes.
pub fn events(stream: Response) -> Answer {
    Ok(ResponseBuilder::new()
        .with_header("content-type", EVENT_STREAM)?
        // Compressing on the way would hold events back.
        .with_header("cache-control", "no-cache, no-transform")?
        .body(stream.into_parts().1))
}

/// The path of an answer's `Location`: an address would be one that only the edge can reach.
fn public_location(headers: &Headers, origin: &Origin) -> worker::Result<Option<String>> {
    let location = headers.get("location")?.unwrap_or_default();
    let within = |url: &String| location.strip_prefix(url.as_str());
    let path = origin.urls.iter().find_map(within).unwrap_or(&location);
    let is_path = path.starts_with('/') && !path.starts_with("//");
    Ok(is_path.then(|| path.to_owned()))
}
