//! A picture's answer: its status, and as much of the picture as is wanted.

use darkroom_shared::problem::{Code, FieldError, Problem};
use worker::{Headers, Response, ResponseBody, ResponseBuilder};

use super::part::{Conditions, Part};
use super::stored::body_of;
use crate::call::Call;
use crate::failure::Answer;
use crate::respond;
use crate::sending::read_bytes;

/// Answers a call with a picture whose headers and bytes are these.
pub(super) async fn answer(call: &Call, headers: Headers, body: ResponseBody) -> Answer {
    let etag = headers.get("etag")?.unwrap_or_default();
    let length = headers.get("content-length")?.unwrap_or_default();
    let length = length.parse().unwrap_or_default();
    let (status, body) = match conditions(call).part_of(&etag, length) {
        Part::All if call.method == "HEAD" => (200, ResponseBody::Empty),
        Part::All => (200, body),
        Part::Nothing => (304, ResponseBody::Empty),
        Part::Range(first, last) => {
            headers.set("content-range", &format!("bytes {first}-{last}/{length}"))?;
            headers.set("content-length", &(last - first + 1).to_string())?;
            let bytes = read_bytes(body).await?;
            (206, body_of(&bytes.subarray(first, last + 1))?)
        }
        Part::Other => {
            let message = format!("must be the picture's tag, {etag}");
            return Ok(refusal(call, 412, "If-Match", message)?);
        }
        Part::OutOfRange => {
            let message = format!("must begin within the picture's {length} bytes");
            let response = refusal(call, 416, "Range", message)?;
            let range = format!("bytes */{length}");
            response.headers().set("content-range", &range)?;
            return Ok(response);
        }
    };
    Ok(ResponseBuilder::new()
        .with_status(status)
        .with_headers(headers)
        .body(body))
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

fn refusal(call: &Call, status: u16, field: &str, message: String) -> worker::Result<Response> {
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
