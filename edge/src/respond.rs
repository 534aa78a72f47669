//! What goes back to the caller.

use darkroom_shared::problem::{self, Code, Problem};
use worker::{Headers, Response, ResponseBody, ResponseBuilder, console_error};

use crate::call::REQUEST_ID_HEADER;
use crate::failure::{Answer, Failure};
use crate::origin::unreachable_origin;
use crate::settings::Origin;

const EVENT_STREAM: &str = "text/event-stream";
/// Headers of the origin's answers that are meant for the caller.
const PASSED_ON: [&str; 4] = ["content-type", "retry-after", "preference-applied", "etag"];
/// Statuses whose answers have no body, by definition.
const WITHOUT_BODY: [u16; 3] = [204, 205, 304];

/// Turns whatever a handler ended in into the answer, and names the request in it.
pub fn finish(answer: Answer, request_id: &str) -> worker::Result<Response> {
    let response = match answer {
        Ok(response) => response,
        Err(Failure::Problem(problem)) => self::problem(*problem, request_id)?,
        Err(Failure::Runtime(error)) => {
            console_error!("{}: {error}", request_id);
            let problem = Problem::new(Code::Internal, "the edge failed; this was logged");
            self::problem(problem, request_id)?
        }
    };
    let headers = response.headers();
    headers.set(REQUEST_ID_HEADER, request_id)?;
    headers.set("x-content-type-options", "nosniff")?;
    Ok(response)
}

/// A problem document, with the headers that belong to its code.
pub fn problem(mut problem: Problem, request_id: &str) -> worker::Result<Response> {
    problem.request_id = Some(request_id.to_owned());
    let headers = Headers::new();
    headers.set("content-type", problem::CONTENT_TYPE)?;
    headers.set("cache-control", "no-store")?;
    if let Some(seconds) = problem.retry_after() {
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
    Ok(ResponseBuilder::new()
        .with_status(status)
        .with_header("content-type", "application/json")?
        .with_header("cache-control", "no-store")?
        .fixed(body.to_string().into_bytes()))
}

/// Passes the origin's answer on: status, body, and the headers that are meant for callers.
///
/// # Errors
/// What did not come from an origin, or speaks of the edge's own signature, is a problem of
/// ours and not the caller's.
pub fn relay(response: Response, origin: &Origin) -> Answer {
    let status = response.status_code();
    let content_type = content_type(&response)?;
    let is_ours = match content_type.as_str() {
        "application/json" | EVENT_STREAM => (200..300).contains(&status),
        problem::CONTENT_TYPE => (400..600).contains(&status),
        _ => WITHOUT_BODY.contains(&status),
    };
    // The caller's key was good when the edge asked: what the origin refuses is the edge.
    if !is_ours || status == Code::Unauthorized.status() {
        console_error!("not the answer of an origin that knows us: {status} {content_type}");
        return Err(unreachable_origin());
    }

    let theirs = response.headers();
    let headers = Headers::new();
    for name in PASSED_ON {
        if let Some(value) = theirs.get(name)? {
            headers.set(name, &value)?;
        }
    }
    if let Some(location) = theirs.get("location")? {
        // An absolute address would be one that only the edge can reach.
        let path = location.strip_prefix(&origin.url).unwrap_or(&location);
        headers.set("location", path)?;
    }
    let cache_control = match content_type.as_str() {
        // Compressing on the way would hold events back.
        EVENT_STREAM => "no-cache, no-transform",
        _ => "no-store",
    };
    headers.set("cache-control", cache_control)?;
    Ok(ResponseBuilder::new()
        .with_status(status)
        .with_headers(headers)
        .body(body_for(status, response.into_parts().1)))
}

/// The media type of an answer, without its parameters.
pub fn content_type(response: &Response) -> worker::Result<String> {
    let header = response.headers().get("content-type")?.unwrap_or_default();
    let media_type = header.split(';').next().unwrap_or_default().trim();
    Ok(media_type.to_ascii_lowercase())
}

/// The runtime throws where such a status comes with a body, even an empty one.
fn body_for(status: u16, body: ResponseBody) -> ResponseBody {
    if WITHOUT_BODY.contains(&status) {
        ResponseBody::Empty
    } else {
        body
    }
}
