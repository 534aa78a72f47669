//! `POST /api/media/generate-image`: check, charge, look whether it was made before, and have it
//! made by the origin otherwise: once, for all who want it now.

use darkroom_shared::deadline;
use darkroom_shared::prefer::Prefer;
use darkroom_shared::problem::Code;
use darkroom_shared::recipe::Recipe;
use darkroom_shared::request::{GenerateRequest, MAX_BODY, MAX_SEED, with_seed};
use futures_util::future::join;
use serde_json::Value;
use worker::Headers;

use crate::allowance::{Charge, Taken};
use crate::auth::Caller;
use crate::call::{Call, now};
use crate::failure::{Answer, Failure};
use crate::flights::{self, Flown, Role};
use crate::order::Order;
use crate::sending::Whole;
use crate::{body, delivery, finished, models, random, respond, settings};

const HIT: &str = "darkroom-edge; hit";
const COLLAPSED: &str = "darkroom-edge; fwd=miss; collapsed";
const MISS: &str = "darkroom-edge; fwd=miss";

/// What came of a request.
pub struct Made {
    /// What the origin answered, or would have.
    pub answer: Whole,
    taken: Taken,
    role: Role,
}

/// Answers a generate call.
pub async fn generate(mut call: Call, caller: &Caller) -> Answer {
    let body = body::read_json(&mut call, MAX_BODY).await?;
    let prefer = Prefer::parse(&call.header("prefer").unwrap_or_default());
    let made = make(&call, caller, body, prefer).await?;
    let origin = settings::origin(&call.env)?;
    let response = respond::relay(&call, &made.answer, &origin).await?;
    made.write(response.headers())?;
    Ok(response)
}

/// Has the pictures of a request made, whatever route it came by. What the origin would refuse is
/// refused here, as far as it has said what it offers, and what the key may not have is not asked
/// for.
pub async fn make(
    call: &Call,
    caller: &Caller,
    body: Vec<u8>,
    prefer: Prefer,
) -> Result<Made, Failure> {
    let mut request = GenerateRequest::from_json(&body)?;
    delivery::check_offered(&call.env, request.visibility)?;
    let deadline = call.header(deadline::HEADER);
    let deadline = deadline.as_deref().map(deadline::parse).transpose()?;
    let origin = settings::origin(&call.env)?;
    let seed = seed_for(&request)?;
    let recipe = match models::offered(call, &origin).await {
        Some(models) => Some(Recipe::complete(&request, &models, seed)?),
        None => None,
    };
    let name = match &recipe {
        // What lies under an image's id only the origin knows.
        Some(recipe) if !request.names_images() => Some(finished::name(
            &recipe.hash().map_err(worker::Error::from)?,
            request.n,
            request.visibility,
            caller.as_str(),
        )),
        _ => None,
    };
    // They are in the body too, and a Worker has no room to keep both while it waits.
    request.drop_files();
    // A seed that was drawn just now was never asked for before.
    let shared = name.as_deref().filter(|_| request.seed.is_some());

    let job = match &call.attempt {
        Some(attempt) => attempt.clone(),
        None => random::sortable_id(now())?,
    };
    let charge = Taken::images(call, caller, &job, request.n);
    let (taken, found) = join(charge, found(call, shared)).await;
    let mut taken = taken?;
    if let Some(mut found) = found {
        if let Ok(charge) = taken.charge() {
            call.context.wait_until(charge.end(false));
        }
        let role = Role::Late;
        make_own(&mut found, call, &request, role);
        let answer = Whole::json_text(&found.to_string())?;
        return Ok(Made {
            answer,
            taken,
            role,
        });
    }
    let charge = taken.charge()?;

    let body = match request.seed {
        Some(_) => body,
        None => with_seed(body, seed),
    };
    let order = Order {
        job: &job,
        caller,
        body: &body,
        prefer: prefer.to_header(),
        wait: prefer.wait_seconds(),
        deadline,
        request_id: &call.request_id,
        trace: call.observed.trace(),
    };
    let begun = now();
    // Previews are not the recipe's: who joins a flight without them would see none.
    let flown = match shared.filter(|_| request.previews == 0) {
        Some(name) => flights::join(&call.env, name, &order, &origin).await,
        None => Ok(Flown {
            answer: order.hand_in(&origin).await,
            role: Role::Led,
        }),
    };
    call.observed.asked_origin_since(begun);
    let Flown { answer, role } = flown.unwrap_or_else(|failure| Flown {
        answer: Err(failure),
        role: Role::Led,
    });
    settle(call, charge, role, &answer).await;
    let mut answer = answer?;
    if let (200, Some(name), Some(recipe)) = (answer.status, name, recipe) {
        keep(call, name, &recipe, &answer).await?;
    }
    if role != Role::Led {
        let mut own = answer.json().map_err(worker::Error::from)?;
        make_own(&mut own, call, &request, role);
        answer.bytes = own.to_string().as_bytes().into();
    }
    Ok(Made {
        answer,
        taken,
        role,
    })
}

impl Made {
    /// Writes into an answer what is left of the key's allowance, and where the pictures are from.
    pub fn write(&self, headers: &Headers) -> worker::Result<()> {
        self.taken.write(headers)?;
        headers.set(
            "cache-status",
            match self.role {
                Role::Led => MISS,
                Role::Joined => COLLAPSED,
                Role::Late => HIT,
            },
        )
    }
}

/// Keeps what was answered for whoever asks for the recipe next: if it is that recipe's, and not
/// one of weights or numerics that the origin has changed to since it was asked.
async fn keep(call: &Call, name: String, recipe: &Recipe, answer: &Whole) -> Result<(), Failure> {
    let made: Value = answer.json().map_err(worker::Error::from)?;
    let is = |field: &str, wanted: &str| made.pointer(field).is_some_and(|found| found == wanted);
    if is("/recipe/revision", &recipe.revision) && is("/recipe/engine", &recipe.engine) {
        finished::keep(call, name, answer.text());
        Ok(())
    } else {
        models::doubt();
        flights::forget(&call.env, &name).await
    }
}

async fn found(call: &Call, name: Option<&str>) -> Option<Value> {
    finished::find(call, name?).await
}

/// Tells the ledger what became of a job's images, as far as the answer says.
async fn settle(call: &Call, charge: Charge, role: Role, answer: &Result<Whole, Failure>) {
    match answer {
        // Another's job makes the pictures: this one was never handed in.
        _ if role != Role::Led => call.context.wait_until(charge.end(false)),
        // The caller has its pictures: it need not wait for the books.
        Ok(answer) if answer.status == 200 => call.context.wait_until(charge.end(true)),
        // Still to be made.
        Ok(answer) if answer.status < 300 => {}
        // It may have been accepted, however late: the ledger will ask.
        Err(failure)
            if failure
                .problem()
                .is_some_and(|p| p.code == Code::OriginTimeout) => {}
        // Whoever tries again at once finds the images given back.
        Ok(_) | Err(_) => charge.end(false).await,
    }
}

/// Makes what was answered to another the caller's own: it has the caller's label, and names the
/// caller's request.
fn make_own(answer: &mut Value, call: &Call, request: &GenerateRequest, role: Role) {
    if let Some(request_id) = answer.get_mut("request_id") {
        *request_id = call.request_id.clone().into();
    }
    if let Some(job) = answer.get_mut("job").and_then(Value::as_object_mut) {
        job.insert("task_id".to_owned(), request.task_id.clone().into());
    }
    if let (Role::Late, Some(answer)) = (role, answer.as_object_mut()) {
        answer.insert("cached".to_owned(), true.into());
    }
}

/// A seed that leaves room for those of the other images.
fn seed_for(request: &GenerateRequest) -> Result<u64, Failure> {
    let highest = MAX_SEED - u64::from(request.n.saturating_sub(1));
    Ok(random::seed()?.min(highest))
}
