//! `POST /api/media/generate-image`: check, draw a seed, let the origin do the rest.

use std::time::Duration;

use darkroom_shared::deadline;
use darkroom_shared::prefer::Prefer;
use darkroom_shared::problem::{Code, Problem};
use darkroom_shared::recipe::Recipe;
use darkroom_shared::request::{GenerateRequest, MAX_BODY, MAX_SEED};
use serde_json::{Map, Value};

use crate::allowance::{Charge, Taken};
use crate::auth::Caller;
use crate::call::{Call, now};
use crate::failure::{Answer, Failure};
use crate::origin::{self, Ask};
use crate::sending::Whole;
use crate::settings::Origin;
use crate::{body, models, random, respond, settings};

/// Accepts a generate call: what the origin would refuse is refused here, as far as it has said
/// what it offers, and what the key may not have is not asked for.
pub async fn generate(mut call: Call, caller: &Caller) -> Answer {
    let body = body::read_json(&mut call, MAX_BODY).await?;
    let request = GenerateRequest::from_json(&body)?;
    let origin = settings::origin(&call.env)?;
    let seed = seed_for(&request)?;
    if let Some(models) = models::offered(&call, &origin).await {
        Recipe::complete(&request, &models, seed)?;
    }
    let body = match request.seed {
        Some(_) => body,
        None => with_seed(&body, seed)?,
    };
    let job = random::sortable_id(now())?;
    let mut taken = Taken::images(&call, caller, &job, request.n).await?;
    let charge = taken.charge()?;
    let answer = hand_in(&call, caller, &origin, &job, body).await;
    settle(&call, charge, &answer).await;
    let response = respond::relay(&call, &answer?, &origin)?;
    taken.write(response.headers())?;
    Ok(response)
}

/// Hands a job in. The origin waits for its pictures as long as `Prefer` says, and then answers
/// "accepted": the edge only sees to it that this stays below what proxies allow.
async fn hand_in(
    call: &Call,
    caller: &Caller,
    origin: &Origin,
    job: &str,
    body: Vec<u8>,
) -> Result<Whole, Failure> {
    let prefer = Prefer::parse(&call.header("prefer").unwrap_or_default());
    let wait = Duration::from_secs(prefer.wait_seconds().into());
    let mut headers = vec![("content-type", "application/json".to_owned())];
    headers.extend(prefer.to_header().map(|prefer| ("prefer", prefer)));
    if let Some(deadline) = call.header(deadline::HEADER) {
        let seconds = deadline::parse(&deadline)?;
        headers.push((deadline::HEADER, seconds.to_string()));
    }
    let ask = Ask {
        // Signed with the rest: a call that reaches the origin twice is still one job.
        query: &format!("job={job}"),
        headers,
        body,
        ..Ask::new(call, caller, wait + origin.timeout)
    };
    origin::ask(origin, ask).await
}

/// Tells the ledger what became of a job's images, as far as the answer says.
async fn settle(call: &Call, charge: Charge, answer: &Result<Whole, Failure>) {
    match answer {
        // The caller has its pictures: it need not wait for the books.
        Ok(answer) if answer.status == 200 => call.context.wait_until(charge.end(true)),
        // Still to be made.
        Ok(answer) if answer.status < 300 => {}
        // It may have been accepted, however late: the ledger will ask.
        Err(Failure::Problem(problem)) if problem.code == Code::OriginTimeout => {}
        // Whoever tries again at once finds the images given back.
        Ok(_) | Err(_) => charge.end(false).await,
    }
}

/// A seed that leaves room for those of the other images.
fn seed_for(request: &GenerateRequest) -> Result<u64, Failure> {
    let highest = MAX_SEED - u64::from(request.n.saturating_sub(1));
    Ok(random::seed()?.min(highest))
}

/// The body with the seed in it, so that whoever works on it later draws none of its own.
fn with_seed(body: &[u8], seed: u64) -> Result<Vec<u8>, Failure> {
    let unreadable = |_| Problem::new(Code::Internal, "the checked body cannot be read again");
    let mut fields: Map<String, Value> = serde_json::from_slice(body).map_err(unreadable)?;
    fields.insert("seed".to_owned(), seed.into());
    Ok(serde_json::to_vec(&fields).map_err(unreadable)?)
}
