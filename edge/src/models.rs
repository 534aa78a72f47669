//! What the origin offers: asked for once a minute, so that a request that it would refuse is
//! refused here, at no cost to it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use darkroom_shared::job::Page;
use darkroom_shared::model::Model;
use worker::Date;

use crate::auth::Caller;
use crate::call::Call;
use crate::failure::Failure;
use crate::log;
use crate::origin::{self, Ask};
use crate::settings::Origin;

/// How long an answer is believed.
const FRESH_MS: u64 = 60_000;
/// How long after an origin had none to give it is not asked again.
const PATIENCE_MS: u64 = 5_000;
/// How long it may take to answer: what it would refuse it can refuse itself.
const LIMIT: Duration = Duration::from_secs(3);

/// What was answered, and until when it counts.
struct Kept {
    models: Option<Rc<[Model]>>,
    until_ms: u64,
}

thread_local! {
    /// Of one isolate: requests in it share this and nothing that belongs to one of them.
    static KEPT: Cell<Option<Kept>> = const { Cell::new(None) };
}

/// The models, or none where the origin does not say: then it has to judge by itself.
pub async fn offered(call: &Call, origin: &Origin) -> Option<Rc<[Model]>> {
    let now = Date::now().as_millis();
    if let Some(kept) = KEPT.take() {
        let models = kept.models.clone();
        let is_fresh = now < kept.until_ms;
        KEPT.set(Some(kept));
        if is_fresh {
            return models;
        }
    }
    let models = match ask(call, origin).await {
        Ok(models) => models,
        Err(failure) => {
            let message = format_args!("no models to check by: {failure}");
            log::warn(&call.request_id, message);
            None
        }
    };
    let lasts = if models.is_some() {
        FRESH_MS
    } else {
        PATIENCE_MS
    };
    KEPT.set(Some(Kept {
        models: models.clone(),
        until_ms: now + lasts,
    }));
    models
}

async fn ask(call: &Call, origin: &Origin) -> Result<Option<Rc<[Model]>>, Failure> {
    let caller = Caller::ANONYMOUS;
    let ask = Ask {
        method: "GET",
        path: "/api/models",
        query: "",
        // Not worth a caller's waiting.
        may_repeat: false,
        ..Ask::new(call, &caller, LIMIT.min(origin.timeout))
    };
    let answer = origin::ask(origin, ask).await?;
    if answer.status != 200 {
        return Ok(None);
    }
    let page = serde_json::from_slice::<Page<Model>>(&answer.bytes.to_vec());
    Ok(page.ok().map(|page| page.items.into()))
}
