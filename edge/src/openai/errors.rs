//! Errors on their way out of `/v1`.

use darkroom_shared::openai::error::{envelope, status};
use darkroom_shared::problem::{CONTENT_TYPE, Code, Problem};

use crate::json;
use crate::reply::{Body, Reply};
use crate::sending::media_type;

/// An answer in OpenAI's shape where it is a problem document, whichever layer wrote it; any other
/// as it is.
pub fn translated(reply: Reply) -> Reply {
    if media_type(&reply.headers) != CONTENT_TYPE {
        return reply;
    }
    let Body::Bytes(bytes) = &reply.body else {
        return reply;
    };
    let Ok(problem) = json::read::<Problem>(bytes) else {
        return reply;
    };
    let headers = reply.headers;
    headers.set("content-type", "application/json");
    if problem.code == Code::Canceled {
        // Their clients try a conflict again, which would make anew what somebody has called off.
        headers.set("x-should-retry", "false");
    }
    Reply {
        headers,
        ..Reply::new(status(&problem))
    }
    .bytes(envelope(&problem).to_string().into_bytes())
}
