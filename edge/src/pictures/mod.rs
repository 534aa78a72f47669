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
use worker::{Cache, ResponseBuilder};

use crate::call::Call;
use crate::failure::Answer;
use crate::log;
use stored::Picture;

pub use deleted::{check as check_not_deleted, forget, remember};
pub use stored::body_of;

const HIT: &str = "darkroom-edge; hit";
const MISS: &str = "darkroom-edge; fwd=miss; stored";

/// Answers GET and HEAD from the cache, or from the origin and then keeps it.
pub async fn serve(call: &Call, visibility: Visibility) -> Answer {
    // Without the query: it changes nothing in a picture, but would fill the cache with copies.
    let key = format!("{}{}", call.site, call.path);
    let cache = Cache::default();
    match cache.get(key.as_str(), false).await {
        Ok(Some(kept)) => {
            deleted::check(call).await?;
            // What comes out of the cache cannot be changed.
            let headers = kept.headers().clone();
            headers.set("cache-status", HIT)?;
            headers.set("cache-control", cache_control(visibility))?;
            return answer::answer(call, headers, kept.into_parts().1).await;
        }
        Ok(None) => {}
        Err(error) => log::warn(&call.request_id, format_args!("the cache failed: {error}")),
    }

    let Picture { headers, bytes } = stored::picture(call).await?;
    let keep = ResponseBuilder::new()
        .with_headers(headers.clone())
        .body(body_of(&bytes)?);
    call.context.wait_until(async move {
        if let Err(error) = cache.put(key, keep).await {
            log::warn("", format_args!("a picture could not be kept: {error}"));
        }
    });
    headers.set("cache-status", MISS)?;
    headers.set("cache-control", cache_control(visibility))?;
    answer::answer(call, headers, body_of(&bytes)?).await
}

/// What others are told; here both are kept.
const fn cache_control(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Public => CACHE_CONTROL_PUBLIC,
        Visibility::Private => CACHE_CONTROL_PRIVATE,
    }
}
