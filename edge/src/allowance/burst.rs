//! The shield: the platform's own rate limiter, which stops a flood before it costs anything.

use darkroom_shared::allowance::{Left, Quota};
use darkroom_shared::problem::{Code, Problem};
use worker::js_sys::futures::JsFuture;

use super::LimitHeaders;
use crate::call::Call;
use crate::failure::Failure;
use crate::{bindings, border, log};

/// So many calls in so many seconds: what `wrangler.toml` gives it, which it does not tell itself.
const BURST: Quota = Quota {
    limit: 500,
    window_seconds: 10,
};

/// Refuses who has called too often just now, from this location. A Worker that is bound to no
/// limiter goes without; one that fails lets everybody through, since it guards nothing exact.
pub async fn check(call: &Call, who: &str) -> Result<(), Failure> {
    let Some(limiter) = bindings::burst(&call.env) else {
        return Ok(());
    };
    match JsFuture::from(border::may_pass(&limiter, who)).await {
        Ok(may_pass) if may_pass.is_falsy() => Err(too_many()),
        Ok(_) => Ok(()),
        Err(error) => {
            let error = worker::Error::from(error);
            let message = format_args!("the rate limiter failed: {error}");
            log::error(&call.request_id, message);
            Ok(())
        }
    }
}

fn too_many() -> Failure {
    let seconds = BURST.window_seconds;
    let problem = Problem {
        retry_after: Some(seconds),
        ..Problem::new(
            Code::RateLimited,
            "too many requests in the last seconds; send them more slowly",
        )
    };
    let left = Left {
        remaining: 0,
        resets_in: seconds,
    };
    let headers = LimitHeaders {
        policy: BURST.policy_item("burst"),
        left: left.item("burst"),
    };
    Failure::Limited(Box::new((problem, headers)))
}
