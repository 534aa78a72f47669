//! API calls that the origin answers and the edge only vouches for.

use serde_json::Value;

use crate::auth::Caller;
use crate::call::{Call, is_plain_id};
use crate::delivery::with_addresses_in_events;
use crate::failure::Answer;
use crate::origin::{self, Ask};
use crate::sending::Opened;
use crate::{allowance, finished, respond, settings};

/// Passes a call without a body on.
pub async fn pass(call: &Call, caller: &Caller) -> Answer {
    let origin = settings::origin(&call.env)?;
    let ask = Ask::new(call, caller, origin.timeout);
    respond::relay(call, &origin::ask(&origin, ask).await?, &origin).await
}

/// Passes a question after a job on, or that it be canceled, and takes note of what is answered:
/// its pictures are kept for whoever asks for its recipe, since they may have been made while nobody
/// waited, and images that will not be made are given back.
pub async fn pass_job(call: &Call, caller: &Caller) -> Answer {
    let origin = settings::origin(&call.env)?;
    let ask = Ask::new(call, caller, origin.timeout);
    let answer = origin::ask(&origin, ask).await?;
    if answer.status == 200
        && let Ok(job) = answer.json::<Value>()
    {
        finished::keep_job(call, &job, caller.as_str());
        give_back(call, caller, &job);
    }
    respond::relay(call, &answer, &origin).await
}

fn give_back(call: &Call, caller: &Caller, job: &Value) {
    let status = job.get("status").and_then(Value::as_str);
    let id = job.get("id").and_then(Value::as_str);
    if let (Some("failed" | "canceled"), Some(id)) = (status, id) {
        let (env, ledger, id) = (call.env.clone(), caller.ledger.clone(), id.to_owned());
        call.context
            .wait_until(async move { allowance::not_made(&env, &ledger, id).await });
    }
}

/// The same for Server-Sent Events: only their beginning is bounded in time, and the body
/// goes through untouched but for private images' addresses, so that each event is passed on when
/// it comes.
pub async fn pass_events(call: &Call, caller: &Caller) -> Answer {
    let origin = settings::origin(&call.env)?;
    let mut ask = Ask::new(call, caller, origin.timeout);
    ask.headers.push(("accept", "text/event-stream".to_owned()));
    // Any other was never ours: that reader gets the whole story.
    if let Some(id) = call.header("last-event-id").filter(|id| is_plain_id(id)) {
        ask.headers.push(("last-event-id", id));
    }
    match origin::open(&origin, ask).await? {
        Opened::Events(stream) => with_addresses_in_events(call, stream),
        Opened::Whole(answer) => respond::relay(call, &answer, &origin).await,
    }
}
