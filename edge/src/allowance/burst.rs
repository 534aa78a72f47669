//! The shield: the platform's own rate limiter, which stops a flood before it costs anything.

use crate::call::Call;
use crate::failure::Failure;
use crate::{log, settings};
use darkroom_shared::problem::{Code, Problem};

/// Seconds: the period that `wrangler.toml` gives it.
const PERIOD: u32 = 10;

/// Refuses who has called too often just now, from this location. A Worker that is bound to no
/// limiter goes without; one that fails lets everybody through, since it guards nothing exact.
pub async fn check(call: &Call, who: String) -> Result<(), Failure> {
    let Ok(limiter) = call.env.rate_limiter(settings::BURST) else {
        return Ok(());
    };
    match limiter.limit(who).await {
        Ok(outcome) if !outcome.success => Err(too_many()),
        Ok(_) => Ok(()),
        Err(error) => {
            log::error(
                &call.request_id,
                format_args!("the rate limiter failed: {error}"),
            );
            Ok(())
        }
    }
}

fn too_many() -> Failure {
    let problem = Problem {
        retry_after: Some(PERIOD),
        ..Problem::new(
            Code::RateLimited,
            "too many requests in the last seconds; send them more slowly",
        )
    };
    problem.into()
}
