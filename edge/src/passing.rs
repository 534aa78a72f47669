//! API calls that the origin answers and the edge only vouches for.

use crate::call::Call;
use crate::failure::Answer;
use crate::origin::{self, Ask, Patience};
use crate::{auth, respond, settings};

/// Passes a call without a body on.
pub async fn pass(call: &Call) -> Answer {
    let caller = auth::caller(call)?;
    let origin = settings::origin(&call.env)?;
    let ask = Ask::new(call, &caller, Patience::Whole(origin.timeout));
    respond::relay(origin::ask(&origin, ask).await?, &origin)
}

/// The same for Server-Sent Events: only their beginning is bounded in time, and the body
/// goes through untouched, so that each event is passed on when it comes.
pub async fn pass_events(call: &Call) -> Answer {
    let caller = auth::caller(call)?;
    let origin = settings::origin(&call.env)?;
    let mut ask = Ask::new(call, &caller, Patience::UntilItBegins(origin.timeout));
    ask.headers.push(("accept", "text/event-stream".to_owned()));
    if let Some(id) = call.header("last-event-id") {
        ask.headers.push(("last-event-id", id));
    }
    respond::relay(origin::ask(&origin, ask).await?, &origin)
}
