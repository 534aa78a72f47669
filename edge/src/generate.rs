//! `POST /api/media/generate-image`: check, charge, look whether it was made before, and have it
//! made by the origin otherwise: once, for all who want it now. `POST /api/images/{id}/regenerate`:
//! charge, and have it made in any case.

use darkroom_shared::changes::Changes;
use darkroom_shared::deadline;
use darkroom_shared::job::JOINED_HEADER;
use darkroom_shared::prefer::Prefer;
use darkroom_shared::recipe::Recipe;
use darkroom_shared::request::{GenerateRequest, MAX_BODY, MAX_SEED, Visibility, with_seed};
use futures_util::future::join;
use serde_json::Value;

use crate::allowance::{Charge, End, Taken};
use crate::auth::Caller;
use crate::call::{Call, now};
use crate::failure::{Answer, Failure};
use crate::flights::{self, Flown, Role};
use crate::order::{GENERATE, Order};
use crate::sending::Whole;
use crate::settings::Origin;
use crate::{body, delivery, finished, log, models, random, respond, settings};

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
    made.tell_in(respond::relay(&call, &made.answer, &origin).await)
}

/// Answers a call that makes an image anew. What it comes to only the origin knows, and it has a job
/// of its own: so it is neither answered from memory nor joined.
pub async fn regenerate(mut call: Call, caller: &Caller) -> Answer {
    let body = body::read_optional_json(&mut call, MAX_BODY).await?;
    let prefer = Prefer::parse(&call.header("prefer").unwrap_or_default());
    let origin = settings::origin(&call.env)?;
    let changes = Changes::from_json(&body)?;
    if changes.asks_for_private() {
        delivery::check_offered(&call.env, Visibility::Private)?;
    }
    let n = changes.n()?;
    let deadline = call.header(deadline::HEADER);
    let deadline = deadline.as_deref().map(deadline::parse).transpose()?;
    let job = match &call.attempt {
        Some(attempt) => attempt.clone(),
        None => random::sortable_id(now())?,
    };
    let mut taken = Taken::images(&call, caller, &job, n).await?;
    let charge = taken.charge()?;
    let order = Order {
        job: &job,
        task_id: None,
        path: &call.path,
        caller,
        body: &body,
        prefer: prefer.to_header(),
        wait: prefer.wait_seconds(),
        deadline,
        request_id: &call.request_id,
        trace: call.observed.trace(),
    };
    let begun = now();
    let answer = order.hand_in(&origin).await;
    call.observed.asked_origin_since(begun);
    let role = Role::Led;
    let answer = charged(&call, &mut taken, charge, n, role, answer).await?;
    let made = Made {
        answer,
        taken,
        role,
    };
    made.tell_in(respond::relay(&call, &made.answer, &origin).await)
}

/// A request that was checked, and what follows from it.
struct Wanted {
    request: GenerateRequest,
    /// Seconds within which the pictures are needed.
    deadline: Option<u32>,
    /// The request's own, or one that was drawn.
    seed: u64,
    /// None where no origin has ever said what it offers.
    recipe: Option<Recipe>,
    /// What its pictures are kept under, where the edge can tell.
    name: Option<String>,
}

impl Wanted {
    /// What the origin would refuse is refused here, as far as it has said what it offers.
    async fn read(
        call: &Call,
        caller: &Caller,
        body: &[u8],
        origin: &Origin,
    ) -> Result<Self, Failure> {
        let mut request = GenerateRequest::within(&settings::reach(&call.env)?, body)?;
        delivery::check_offered(&call.env, request.visibility)?;
        let deadline = call.header(deadline::HEADER);
        let deadline = deadline.as_deref().map(deadline::parse).transpose()?;
        let seed = seed_for(&request)?;
        let recipe = match models::offered(call, origin).await {
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
        Ok(Self {
            request,
            deadline,
            seed,
            recipe,
            name,
        })
    }

    /// The name under which others may have asked for the same. A seed that was drawn just now was
    /// never asked for before. Who wants to be told of the end wants a job of its own.
    fn shared(&self) -> Option<&str> {
        let is_shared = self.request.seed.is_some() && self.request.webhook_url.is_none();
        self.name.as_deref().filter(|_| is_shared)
    }

    /// The name under which others may join. Previews are not the recipe's: who joins a flight
    /// without them would see none.
    fn flight(&self) -> Option<&str> {
        self.shared().filter(|_| self.request.previews == 0)
    }
}

/// Has the pictures of a request made, whatever route it came by. What the key may not have is not
/// asked for.
pub async fn make(
    call: &Call,
    caller: &Caller,
    body: Vec<u8>,
    prefer: Prefer,
) -> Result<Made, Failure> {
    let origin = settings::origin(&call.env)?;
    let wanted = Wanted::read(call, caller, &body, &origin).await?;
    let job = match &call.attempt {
        Some(attempt) => attempt.clone(),
        None => random::sortable_id(now())?,
    };
    let charge = Taken::images(call, caller, &job, wanted.request.n);
    let (taken, found) = join(charge, found(call, wanted.shared())).await;
    let mut taken = taken?;
    if let Some(found) = found {
        return Ok(made_before(call, &wanted, taken, found));
    }

    let charge = taken.charge()?;
    let body = match wanted.request.seed {
        Some(_) => body,
        None => with_seed(body, wanted.seed),
    };
    let order = Order {
        job: &job,
        path: GENERATE,
        caller,
        task_id: wanted.request.task_id.as_deref(),
        body: &body,
        prefer: prefer.to_header(),
        wait: prefer.wait_seconds(),
        deadline: wanted.deadline,
        request_id: &call.request_id,
        trace: call.observed.trace(),
    };
    let begun = now();
    let flown = match wanted.flight() {
        // Together with all others who want the same now.
        Some(name) => match flights::join(&call.env, name, &order, &origin) {
            Ok(flight) => {
                drop(body);
                flight.await
            }
            Err(failure) => Err(failure),
        },
        None => Ok(Flown::alone(order.hand_in(&origin).await)),
    };
    call.observed.asked_origin_since(begun);
    let Flown { answer, role } = flown.unwrap_or_else(|failure| Flown::alone(Err(failure)));
    let n = wanted.request.n;
    let mut answer = charged(call, &mut taken, charge, n, role, answer).await?;
    if answer.status == 200 {
        keep(call, &wanted, &answer);
    }
    if role != Role::Led
        // What did not come from an origin is not made anybody's.
        && let Ok(mut own) = answer.json()
    {
        make_own(&mut own, call, &wanted.request, role);
        answer.bytes = own.to_string().as_bytes().into();
    }
    Ok(Made {
        answer,
        taken,
        role,
    })
}

/// Tells the ledger what an answer says of a job's `n` images.
async fn charged(
    call: &Call,
    taken: &mut Taken,
    charge: Charge,
    n: u32,
    role: Role,
    answer: Result<Whole, Failure>,
) -> Result<Whole, Failure> {
    let end = match &answer {
        Ok(answer) if answer.headers.has(JOINED_HEADER) => Some(End::NotMade),
        _ => end_of(role, &answer),
    };
    if end.is_some_and(|end| end != End::Made) {
        taken.returns(n);
    }
    settle(call, charge, end, &answer).await;
    answer.map_err(|failure| taken.told_in(failure))
}

/// Answers with what was made before: no image of the key's is needed for it.
fn made_before(call: &Call, wanted: &Wanted, mut taken: Taken, mut found: Value) -> Made {
    if let Ok(charge) = taken.charge() {
        taken.returns(wanted.request.n);
        call.context.wait_until(charge.end(End::NotMade));
    }
    let role = Role::Late;
    make_own(&mut found, call, &wanted.request, role);
    Made {
        answer: Whole::json_text(&found.to_string()),
        taken,
        role,
    }
}

impl Made {
    /// Has an answer tell what is left of the key's allowance, and where the pictures are from.
    pub fn tell_in(&self, answer: Answer) -> Answer {
        let answer = self.taken.tell_in(answer);
        if let Ok(reply) = &answer {
            let status = match self.role {
                Role::Led => MISS,
                Role::Joined => COLLAPSED,
                Role::Late => HIT,
            };
            reply.headers.set("cache-status", status);
        }
        answer
    }
}

/// Keeps what was answered for whoever asks for the recipe next: if it is that recipe's, and not
/// one of weights or numerics that the origin has changed to since it was asked.
fn keep(call: &Call, wanted: &Wanted, answer: &Whole) {
    let (Some(name), Some(recipe), Ok(made)) =
        (&wanted.name, &wanted.recipe, answer.json::<Value>())
    else {
        return;
    };
    let is = |field: &str, wanted: &str| made.pointer(field).is_some_and(|found| found == wanted);
    if is("/recipe/revision", &recipe.revision) && is("/recipe/engine", &recipe.engine) {
        finished::keep(call, name.clone(), answer.text());
        return;
    }
    models::doubt();
    let (env, name) = (call.env.clone(), name.clone());
    call.context.wait_until(async move {
        if let Err(failure) = flights::forget(&env, &name).await {
            log::error("", format_args!("a flight was not forgotten: {failure}"));
        }
    });
}

async fn found(call: &Call, name: Option<&str>) -> Option<Value> {
    finished::find(call, name?).await
}

/// What an answer says of the caller's job; none while its images are still to be made.
fn end_of(role: Role, answer: &Result<Whole, Failure>) -> Option<End> {
    match answer {
        // Another's job makes the pictures: this one was never handed in.
        _ if role != Role::Led => Some(End::NotMade),
        Ok(answer) if answer.status == 200 => Some(End::Made),
        Ok(answer) if answer.status < 300 => None,
        Ok(answer) if answer.status < 500 => Some(End::NotMade),
        // It may have been accepted, by an origin that was lost since.
        Ok(_) | Err(_) => Some(End::Unknown),
    }
}

/// Tells the ledger how a job ended.
async fn settle(call: &Call, charge: Charge, end: Option<End>, answer: &Result<Whole, Failure>) {
    let Some(end) = end else {
        return;
    };
    match answer {
        // The caller has its pictures: it need not wait for the books.
        Ok(answer) if answer.status < 300 => call.context.wait_until(charge.end(end)),
        // Whoever tries again at once finds the images given back.
        Ok(_) | Err(_) => charge.end(end).await,
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
