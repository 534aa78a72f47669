//! A picture as the origin has it stored.

use darkroom_shared::key::{CACHE_CONTROL_PUBLIC, parse_file_name};
use darkroom_shared::problem::Problem;
use worker::js_sys::Uint8Array;

use crate::auth::Caller;
use crate::call::Call;
use crate::failure::Failure;
use crate::origin::{self, Ask};
use crate::reply::Headers;
use crate::routes::not_found;
use crate::sending::{Whole, media_type, unreachable_origin};
use crate::{log, settings};

/// A picture and the headers that it is answered and kept with.
pub(super) struct Picture {
    pub headers: Headers,
    pub bytes: Uint8Array,
}

/// Asks the origin for a picture, all of it: one that broke off on the way would otherwise be
/// kept for a year as far as it came.
pub(super) async fn picture(call: &Call, path: &str) -> Result<Picture, Failure> {
    let origin = settings::origin(&call.env)?;
    let file = path.rsplit('/').next().unwrap_or_default();
    let format = parse_file_name(file).ok_or_else(not_found)?;
    let anybody = Caller::ANONYMOUS;
    let ask = Ask {
        // A HEAD fills the cache as well: who asks for the headers mostly wants the picture next.
        method: "GET",
        path,
        query: "",
        may_repeat: true,
        ..Ask::new(call, &anybody, origin.timeout)
    };
    let answer = origin::ask(&origin, ask).await?;
    if answer.status != 200 {
        return Err(refusal(call, &answer));
    }
    // Whatever else says 200 would be kept for a year as a picture.
    let media_type = media_type(&answer.headers);
    if media_type != format.content_type() || answer.bytes.length() == 0 {
        log::error(
            &call.request_id,
            format_args!("no picture, but {media_type}"),
        );
        return Err(unreachable_origin());
    }

    let headers = Headers::default();
    headers.set("content-type", format.content_type());
    headers.set("content-length", answer.bytes.length().to_string());
    // Of a private one too: the cache takes nothing else, and is asked only for who may see it.
    headers.set("cache-control", CACHE_CONTROL_PUBLIC);
    headers.set("accept-ranges", "bytes");
    // A name stands for its bytes as well as a digest would.
    let etag = answer.headers.get("etag");
    headers.set("etag", etag.unwrap_or_else(|| format!("\"{file}\"")));
    Ok(Picture {
        headers,
        bytes: answer.bytes,
    })
}

/// The origin's own problem, where it is one that concerns the caller.
fn refusal(call: &Call, answer: &Whole) -> Failure {
    let status = answer.status;
    match answer.json::<Problem>() {
        Ok(problem) if problem.status == status && status != 401 => problem.into(),
        _ => {
            log::error(&call.request_id, format_args!("no picture, but {status}"));
            unreachable_origin()
        }
    }
}
