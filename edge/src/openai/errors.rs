//! Errors on their way out of `/v1`.

use darkroom_shared::openai::error::{envelope, status};
use darkroom_shared::problem::{CONTENT_TYPE, Code, Problem};
use worker::{Response, ResponseBody, ResponseBuilder};

use crate::json;
use crate::sending::media_type;

/// An answer in OpenAI's shape where it is a problem document, whichever layer wrote it; any other
/// as it is.
pub fn translated(response: Response) -> worker::Result<Response> {
    if media_type(response.headers())? != CONTENT_TYPE {
        return Ok(response);
    }
    let headers = response.headers().clone();
    let (builder, body) = response.into_parts();
    let ResponseBody::Body(bytes) = &body else {
        return Ok(builder.body(body));
    };
    let Ok(problem) = json::read::<Problem>(bytes) else {
        return Ok(builder.body(body));
    };
    headers.set("content-type", "application/json")?;
    if problem.code == Code::Canceled {
        // Their clients try a conflict again, which would make anew what somebody has called off.
        headers.set("x-should-retry", "false")?;
    }
    Ok(ResponseBuilder::new()
        .with_status(status(&problem))
        .with_headers(headers)
        .fixed(envelope(&problem).to_string().into_bytes()))
}
