//! Pictures, where no CDN stands before the store. Whether a private one may be had is
//! [`crate::delivery`]'s to say, before anything here is asked.
//!
//! A picture comes out of the cache, or from the origin ([`stored`]) and is then kept; as much
//! of it as the caller wants ([`part`]) is answered ([`answer`]). A file's bytes never change,
//! so that an answer may be kept for a year, here and everywhere.

mod answer;
mod deleted;
mod part;
mod stored;

use darkroom_shared::key::{CACHE_CONTROL_PRIVATE, CACHE_CONTROL_PUBLIC};
use darkroom_shared::request::Visibility;
use wasm_bindgen::JsCast as _;
use worker::Cache;
use worker::js_sys::Uint8Array;
use worker::js_sys::futures::JsFuture;

use crate::border::Lines;
use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::reply::{Body, Headers, Reply};
use crate::routes::not_found;
use crate::{allowance, auth, bindings, border, log};
use answer::Found;
use stored::Picture;

pub use deleted::{check as check_not_deleted, forget, is_any as is_any_deleted, remember};

const HIT: &str = "darkroom-edge; hit";
const MISS: &str = "darkroom-edge; fwd=miss; stored";

/// Answers GET and HEAD from the cache, or from the origin and then keeps it.
pub async fn serve(call: &Call, visibility: Visibility) -> Answer {
    let cache_control = cache_control(visibility);
    if let Some(kept) = kept(call, &call.path).await? {
        let found = Found {
            headers: Headers::default(),
            kept: Some(kept),
            cache_status: HIT,
            cache_control,
        };
        return answer::answer(call, found, Body::Kept).await;
    }
    // No key is needed to come as far as this.
    allowance::check_burst(call, &auth::from(call)).await?;
    let Picture { headers, bytes } = fetch(call, &call.path).await?;
    let found = Found {
        headers,
        kept: None,
        cache_status: MISS,
        cache_control,
    };
    answer::answer(call, found, Body::Runtime(bytes.into())).await
}

/// The bytes of the picture stored under `key`, for a caller who may see it: from the cache, or from
/// the origin.
pub async fn bytes(call: &Call, key: &str) -> Result<Uint8Array, Failure> {
    let path = deleted::path(key);
    let Some(kept) = kept(call, &path).await? else {
        return Ok(fetch(call, &path).await?.bytes);
    };
    let body = kept.body().map_or(Body::Empty, Body::from);
    Ok(body.read().await?)
}

/// A picture that lies in the cache, where it does. One that was deleted is not found.
async fn kept(call: &Call, path: &str) -> Result<Option<web_sys::Response>, Failure> {
    let marks = bindings::recipes(&call.env);
    let mark = deleted::mark(path);
    let found = border::cached(&address(call, path), marks.as_ref(), &mark);
    match JsFuture::from(found).await {
        Ok(found) if found.is_null() => Err(not_found()),
        Ok(found) if found.is_undefined() => Ok(None),
        Ok(found) => Ok(Some(found.unchecked_into())),
        // The origin knows what was deleted, and has the rest.
        Err(error) => {
            let error = worker::Error::from(error);
            log::warn(&call.request_id, format_args!("the cache failed: {error}"));
            Ok(None)
        }
    }
}

/// A picture from the origin, which is then kept.
async fn fetch(call: &Call, path: &str) -> Result<Picture, Failure> {
    let picture = stored::picture(call, path).await?;
    let keep = Reply {
        headers: picture.headers.clone(),
        ..Reply::new(200).body(Body::Runtime(picture.bytes.clone().into()))
    };
    let keep = keep.leave(&Lines::default())?.into();
    let address = address(call, path);
    call.context.wait_until(async move {
        if let Err(error) = Cache::default().put(address, keep).await {
            log::warn("", format_args!("a picture could not be kept: {error}"));
        }
    });
    Ok(picture)
}

/// Where a picture lies in the cache. Without the query: it changes nothing in a picture, but would
/// fill the cache with copies.
fn address(call: &Call, path: &str) -> String {
    format!("{}{path}", call.site)
}

/// What others are told; here both are kept.
const fn cache_control(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Public => CACHE_CONTROL_PUBLIC,
        Visibility::Private => CACHE_CONTROL_PRIVATE,
    }
}
