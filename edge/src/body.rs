//! Reading a body without trusting its size.

use darkroom_shared::problem::Code;
use futures_util::StreamExt as _;
use worker::console_warn;

use crate::call::Call;
use crate::failure::Failure;

/// Reads a call's JSON body, of at most `most` bytes.
pub async fn read_json(call: &mut Call, most: usize) -> Result<Vec<u8>, Failure> {
    check_media_type(call)?;
    read_any(call, most).await
}

/// The same where a body may be left out: it is empty then, whatever its media type.
pub async fn read_optional_json(call: &mut Call, most: usize) -> Result<Vec<u8>, Failure> {
    let body = read_any(call, most).await?;
    if !body.is_empty() {
        check_media_type(call)?;
    }
    Ok(body)
}

/// Reads a body of any media type.
pub async fn read_any(call: &mut Call, most: usize) -> Result<Vec<u8>, Failure> {
    let announced = announced_size(call, most)?;
    read_bounded(call, announced, most).await
}

fn check_media_type(call: &Call) -> Result<(), Failure> {
    let header = call.header("content-type").unwrap_or_default();
    let media_type = header.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Failure::new(
        Code::UnsupportedMediaType,
        "send the body as application/json",
    ))
}

/// How many bytes a body says it has; none where it does not say.
fn announced_size(call: &Call, most: usize) -> Result<usize, Failure> {
    let announced = call.header("content-length");
    match announced.and_then(|length| length.parse::<u64>().ok()) {
        Some(length) if length > most as u64 => Err(too_large(most)),
        length => Ok(length.unwrap_or_default() as usize),
    }
}

/// A body need not announce its size, nor keep to what it announced.
async fn read_bounded(call: &mut Call, announced: usize, most: usize) -> Result<Vec<u8>, Failure> {
    // Growing into its size, a large body would take half as much memory again on the way.
    let mut body = Vec::with_capacity(announced);
    // A request without a body has no stream either; that it is empty is for others to tell.
    let Ok(mut chunks) = call.request.stream() else {
        return Ok(body);
    };
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| {
            console_warn!("{}: the body ended early: {error}", call.request_id);
            Failure::new(Code::Malformed, "the body ended before it was complete")
        })?;
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
