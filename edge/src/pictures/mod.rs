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
use wasm_bindgen::{JsCast as _, JsValue};
use worker::Cache;
use worker::js_sys::futures::JsFuture;

use crate::border::Lines;
use crate::call::Call;
use crate::failure::Answer;
use crate::reply::{Body, Headers, Reply};
use crate::routes::not_found;
use crate::{bindings, border, log};
use answer::Found;
use stored::Picture;

pub use deleted::{check as check_not_deleted, forget, is_any as is_any_deleted, remember};

const HIT: &str = "darkroom-edge; hit";
const MISS: &str = "darkroom-edge; fwd=miss; stored";

/// Answers GET and HEAD from the cache, or from the origin and then keeps it.
pub async fn serve(call: &Call, visibility: Visibility) -> Answer {
    // Without the query: it changes nothing in a picture, but would fill the cache with copies.
    let key = format!("{}{}", call.site, call.path);
    match cached(call, &key).await {
        Ok(found) if found.is_null() => return Err(not_found()),
        Ok(found) if found.is_undefined() => {}
        Ok(found) => {
            let kept: web_sys::Response = found.unchecked_into();
            let found = Found {
                headers: Headers::default(),
                kept: Some(kept),
                cache_status: HIT,
                cache_control: cache_control(visibility),
            };
            return answer::answer(call, found, Body::Kept).await;
        }
        // The origin knows what was deleted, and has the rest.
        Err(error) => {
            let error = worker::Error::from(error);
            log::warn(&call.request_id, format_args!("the cache failed: {error}"));
        }
    }

    let Picture { headers, bytes } = stored::picture(call).await?;
    let picture = |headers| Reply {
        headers,
        ..Reply::new(200).body(Body::Runtime(bytes.clone().into()))
    };
    let keep = picture(headers.clone()).leave(&Lines::default())?.into();
    call.context.wait_until(async move {
        if let Err(error) = Cache::default().put(key, keep).await {
            log::warn("", format_args!("a picture could not be kept: {error}"));
        }
    });
    let found = Found {
        headers,
        kept: None,
        cache_status: MISS,
        cache_control: cache_control(visibility),
    };
    answer::answer(call, found, Body::Runtime(bytes.into())).await
}

/// What lies in the cache: undefined where there is nothing, null where it was deleted.
async fn cached(call: &Call, key: &str) -> Result<JsValue, JsValue> {
    let marks = bindings::recipes(&call.env);
    let mark = deleted::mark(&call.path);
    JsFuture::from(border::cached(key, marks.as_ref(), &mark)).await
}

/// What others are told; here both are kept.
const fn cache_control(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Public => CACHE_CONTROL_PUBLIC,
        Visibility::Private => CACHE_CONTROL_PRIVATE,
    }
}
