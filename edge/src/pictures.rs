//! `/generated/{file}`: pictures, where no CDN stands before the store.
//!
//! A file's bytes never change, so that an answer may be kept for a year, here and everywhere.

use darkroom_shared::key::{CACHE_CONTROL_PUBLIC, parse_file_name};
use worker::js_sys::Uint8Array;
use worker::js_sys::futures::JsFuture;
use worker::worker_sys::web_sys;
use worker::{
    Cache, Headers, Response, ResponseBody, ResponseBuilder, console_error, console_warn,
};

use crate::auth::Caller;
use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::origin::{self, Ask, Patience, unreachable_origin};
use crate::respond::content_type;
use crate::routes::not_found;
use crate::settings;

const HIT: &str = "darkroom-edge; hit";
const MISS: &str = "darkroom-edge; fwd=miss; stored";

/// Answers GET and HEAD from the cache, or from the origin and then keeps it.
pub async fn serve(call: &Call) -> Answer {
    // Without the query: it changes nothing in a picture, but would fill the cache with copies.
    let key = format!("{}{}", call.site, call.path);
    let cache = Cache::default();
    match cache.get(key.as_str(), false).await {
        Ok(Some(kept)) => {
            // What comes out of the cache cannot be changed.
            let headers = kept.headers().clone();
            return answer(call, headers, kept.into_parts().1, HIT);
        }
        Ok(None) => {}
        Err(error) => console_warn!("{}: the cache failed: {error}", call.request_id),
    }

    let Picture { headers, bytes } = from_origin(call).await?;
    let keep = response_of(&headers, &bytes)?;
    call.context.wait_until(async move {
        if let Err(error) = cache.put(key, keep).await {
            console_warn!("a picture could not be kept: {error}");
        }
    });
    let body = response_of(&headers, &bytes)?.into_parts().1;
    answer(call, headers, body, MISS)
}

/// A picture and the headers that it is answered and kept with.
struct Picture {
    headers: Headers,
    /// Outside the wasm's memory, where nothing would ever give it back.
    bytes: Uint8Array,
}

/// Asks the origin for a picture, all of it: one that broke off on the way would otherwise be
/// kept for a year as far as it came.
async fn from_origin(call: &Call) -> Result<Picture, Failure> {
    let origin = settings::origin(&call.env)?;
    let file = call.path.rsplit('/').next().unwrap_or_default();
    let format = parse_file_name(file).ok_or_else(not_found)?;
    let ask = Ask {
        // A HEAD fills the cache as well: who asks for the headers mostly wants the picture next.
        method: "GET",
        query: "",
        ..Ask::new(call, &Caller::ANONYMOUS, Patience::Whole(origin.timeout))
    };
    let response = origin::ask(&origin, ask).await?;
    match response.status_code() {
        200 => {}
        404 => return Err(not_found()),
        status => {
            console_error!("{}: no picture, but {status}", call.request_id);
            return Err(unreachable_origin());
        }
    }
    // Whatever else says 200 would be kept for a year as a picture.
    let media_type = content_type(&response)?;
    if media_type != format.content_type() {
        console_error!("{}: no picture, but {media_type}", call.request_id);
        return Err(unreachable_origin());
    }

    let theirs = response.headers();
    let headers = Headers::new();
    headers.set("content-type", format.content_type())?;
    headers.set("cache-control", CACHE_CONTROL_PUBLIC)?;
    headers.set("access-control-allow-origin", "*")?;
    // A name stands for its bytes as well as a digest would.
    let etag = theirs.get("etag")?;
    headers.set("etag", &etag.unwrap_or_else(|| format!("\"{file}\"")))?;
    let bytes = read_whole(call, response).await?;
    headers.set("content-length", &bytes.length().to_string())?;
    Ok(Picture { headers, bytes })
}

async fn read_whole(call: &Call, response: Response) -> Result<Uint8Array, Failure> {
    let response = web_sys::Response::from(response);
    let buffer = match response.array_buffer() {
        Ok(promise) => JsFuture::from(promise).await,
        Err(error) => Err(error),
    };
    buffer
        .map(|buffer| Uint8Array::new(&buffer))
        .map_err(|error| {
            console_error!("{}: a picture broke off: {error:?}", call.request_id);
            unreachable_origin()
        })
}

fn response_of(headers: &Headers, bytes: &Uint8Array) -> Result<Response, Failure> {
    let init = web_sys::ResponseInit::new();
    init.set_headers(headers.as_ref());
    let response = web_sys::Response::new_with_opt_js_u8_array_and_init(Some(bytes), &init)
        .map_err(worker::Error::from)?;
    Ok(response.into())
}

fn answer(call: &Call, headers: Headers, body: ResponseBody, cache_status: &str) -> Answer {
    headers.set("cache-status", cache_status)?;
    let status = if is_known(call, &headers)? { 304 } else { 200 };
    let body = if wants_body(call, &headers)? {
        body
    } else {
        ResponseBody::Empty
    };
    Ok(ResponseBuilder::new()
        .with_status(status)
        .with_headers(headers)
        .body(body))
}

fn wants_body(call: &Call, picture: &Headers) -> worker::Result<bool> {
    Ok(call.method != "HEAD" && !is_known(call, picture)?)
}

/// Whether the caller has the picture already (RFC 9110, 13.1.2).
fn is_known(call: &Call, picture: &Headers) -> worker::Result<bool> {
    let Some(condition) = call.header("if-none-match") else {
        return Ok(false);
    };
    let etag = picture.get("etag")?.unwrap_or_default();
    let strong = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    Ok(condition
        .split(',')
        .any(|tag| tag.trim() == "*" || strong(tag) == strong(&etag)))
}
