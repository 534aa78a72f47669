//! `POST /api/media/generate-image`: check, draw a seed, let the origin do the rest.

use std::time::Duration;

use darkroom_shared::prefer::Prefer;
use darkroom_shared::problem::{Code, Problem};
use darkroom_shared::recipe::Recipe;
use darkroom_shared::request::{GenerateRequest, MAX_BODY, MAX_SEED};
use serde_json::{Map, Value};

use crate::auth::Caller;
use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::origin::{self, Ask};
use crate::sending::Whole;
use crate::{body, models, random, respond, settings};

/// The origin's path for it.
const PATH: &str = "/api/media/generate-image";

/// Accepts a generate call. The origin waits for the picture as long as `Prefer` says, and then
/// answers "accepted": the edge only sees to it that this stays below what proxies allow.
pub async fn generate(mut call: Call, caller: &Caller) -> Answer {
    let body = body::read_json(&mut call, MAX_BODY).await?;
    let prefer = Prefer::parse(&call.header("prefer").unwrap_or_default());
    let origin = settings::origin(&call.env)?;
    respond::relay(&call, &forward(&call, caller, body, prefer).await?, &origin)
}

/// Checks a request, whatever route it came by, and lets the origin have it; its answer as it is.
/// What the origin would refuse is refused here, as far as it has said what it offers.
pub async fn forward(
    call: &Call,
    caller: &Caller,
    body: Vec<u8>,
    prefer: Prefer,
) -> Result<Whole, Failure> {
    let request = GenerateRequest::from_json(&body)?;
    let origin = settings::origin(&call.env)?;
    let seed = seed_for(&request)?;
    if let Some(models) = models::offered(call, &origin).await {
        Recipe::complete(&request, &models, seed)?;
    }
    let body = match request.seed {
        Some(_) => body,
        None => with_seed(&body, seed)?,
    };
    let wait = Duration::from_secs(prefer.wait_seconds().into());
    let mut headers = vec![("content-type", "application/json".to_owned())];
    headers.extend(prefer.to_header().map(|prefer| ("prefer", prefer)));
    let ask = Ask {
        method: "POST",
        path: PATH,
        query: "",
        headers,
        body,
        ..Ask::new(call, caller, wait + origin.timeout)
    };
    origin::ask(&origin, ask).await
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
