//! Reading a body without trusting its size.

use darkroom_shared::problem::Code;
use futures_util::StreamExt as _;
use worker::Request;
use worker::js_sys::Uint8Array;
use worker::js_sys::futures::JsFuture;

use crate::call::Call;
use crate::failure::Failure;
use crate::{border, log};

/// What is read whole by the runtime, and not piece by piece, in bytes.
const SMALL: u64 = 64 * 1024;

/// Reads a call's JSON body, of at most `most` bytes.
pub async fn read_json(call: &mut Call, most: usize) -> Result<Vec<u8>, Failure> {
    check_media_type(call)?;
    read_any(&call.request, &call.request_id, most).await
}

/// The same where a body may be left out: it is empty then, whatever its media type.
pub async fn read_optional_json(call: &mut Call, most: usize) -> Result<Vec<u8>, Failure> {
    let body = read_any(&call.request, &call.request_id, most).await?;
    if !body.is_empty() {
        check_media_type(call)?;
    }
    Ok(body)
}

fn check_media_type(call: &Call) -> Result<(), Failure> {
    let header = call.header("content-type").unwrap_or_default();
    let media_type = header.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let detail = "send the body as application/json";
    Err(Failure::new(Code::UnsupportedMediaType, detail))
}

/// Reads a request's body, of whatever type but in no encoding, and of at most `most` bytes. It need
/// not announce its size, nor keep to what it announced.
pub async fn read_any(
    request: &web_sys::Request,
    request_id: &str,
    most: usize,
) -> Result<Vec<u8>, Failure> {
    let headers = request.headers();
    let is_encoded = headers.has("content-encoding");
    if is_encoded.map_err(worker::Error::from)? {
        let detail = "send the body as it is, in no encoding";
        return Err(Failure::new(Code::UnsupportedMediaType, detail));
    }
    let announced = headers.get("content-length");
    let announced = announced.map_err(worker::Error::from)?;
    let announced = announced.and_then(|length| length.parse::<u64>().ok());
    let announced = announced.unwrap_or_default();
    if announced > most as u64 {
        return Err(too_large(most));
    }
    let ended_early = |error: worker::Error| {
        log::warn(request_id, format_args!("the body ended early: {error}"));
        Failure::new(Code::Malformed, "the body ended before it was complete")
    };
    if (1..=SMALL).contains(&announced) {
        let body = JsFuture::from(border::read_body(request, announced as f64)).await;
        let body = body.map_err(|error| ended_early(error.into()))?;
        if body.is_null() {
            let detail = "the body is longer than its Content-Length";
            return Err(Failure::new(Code::Malformed, detail));
        }
        return Ok(Uint8Array::new(&body).to_vec());
    }
    let mut request = Request::from(Clone::clone(request));
    // Growing into its size, a large body would take half as much memory again on the way.
    let mut body = Vec::with_capacity(announced as usize);
    // A request without a body has no stream either; that it is empty is for others to tell.
    let Ok(mut chunks) = request.stream() else {
        return Ok(body);
    };
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(ended_early)?;
        if body.len() + chunk.len() > most {
            return Err(too_large(most));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn too_large(most: usize) -> Failure {
    Failure::new(
        Code::TooLarge,
        format!("the body may have at most {most} bytes"),
    )
}
