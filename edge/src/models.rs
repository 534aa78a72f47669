//! What the origin offers: asked for once a minute, so that a request that it would refuse is
//! refused here, at no cost to it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use darkroom_shared::job::Page;
use darkroom_shared::model::Model;
use serde_json::json;
use worker::js_sys::Date;

use crate::auth::Caller;
use crate::call::Call;
use crate::origin::{self, Ask};
use crate::settings::Origin;
use crate::{bindings, json, log};

/// How long an answer is believed.
const FRESH_MS: u64 = 60_000;
/// How long after an origin had none to give it is not asked again.
const PATIENCE_MS: u64 = 5_000;
/// How long it may take to answer: what it would refuse it can refuse itself.
const LIMIT: Duration = Duration::from_secs(3);

/// Where the last answer is kept for places that have none of their own.
const NAME: &str = "models";

/// What was answered last, and until when it counts unasked.
#[derive(Clone, Default)]
struct Kept {
    models: Option<Rc<[Model]>>,
    until_ms: u64,
}

thread_local! {
    /// Of one isolate: requests in it share this and nothing that belongs to one of them.
    static KEPT: RefCell<Kept> = RefCell::default();
}

/// The models, or none where no origin has ever said: then it has to judge by itself. While the
/// origin does not answer, what it said last still counts.
pub async fn offered(call: &Call, origin: &Origin) -> Option<Rc<[Model]>> {
    let now = Date::now() as u64;
    let kept = KEPT.with_borrow(Kept::clone);
    if now < kept.until_ms {
        return kept.models;
    }
    if kept.models.is_some() {
        // One asks anew; whoever comes in the meantime need not wait for that.
        KEPT.with_borrow_mut(|kept| kept.until_ms = now + PATIENCE_MS);
    }
    let (models, lasts) = match ask(call, origin).await {
        Some(models) => {
            if kept.models.as_ref() != Some(&models) {
                remember(call, &models);
            }
            (Some(models), FRESH_MS)
        }
        None if kept.models.is_some() => (kept.models, PATIENCE_MS),
        None => (remembered(call).await, PATIENCE_MS),
    };
    KEPT.set(Kept {
        models: models.clone(),
        until_ms: now + lasts,
    });
    models
}

/// Has the origin asked again at the next call: it no longer offers what it said.
pub fn doubt() {
    KEPT.with_borrow_mut(|kept| kept.until_ms = 0);
}

async fn ask(call: &Call, origin: &Origin) -> Option<Rc<[Model]>> {
    let caller = Caller::ANONYMOUS;
    let ask = Ask {
        method: "GET",
        path: "/api/models",
        query: "",
        // Not worth a caller's waiting.
        may_repeat: false,
        ..Ask::new(call, &caller, LIMIT.min(origin.timeout))
    };
    // What went wrong is in the log by then.
    let answer = origin::ask(origin, ask).await.ok()?;
    let page = (answer.status == 200).then(|| answer.json::<Page<Model>>());
    Some(page?.ok()?.items.into())
}

async fn remembered(call: &Call) -> Option<Rc<[Model]>> {
    let text = bindings::recipes(&call.env)?.read(NAME).await.ok()??;
    json::read::<Vec<Model>>(text).ok().map(Rc::from)
}

fn remember(call: &Call, models: &[Model]) {
    let (Some(store), Ok(text)) = (bindings::recipes(&call.env), serde_json::to_string(models))
    else {
        return;
    };
    call.context.wait_until(async move {
        if let Err(error) = store.keep(NAME, &text, &json!({})).await {
            log::warn("", format_args!("the models could not be kept: {error}"));
        }
    });
}
