//! The Durable Object of one recipe: one job for all who want it.
//!
//! Every call to the origin is the same generate call under the job's id, so that asking again,
//! for whatever reason, never makes a second picture. One at a time waits there for all.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use darkroom_shared::problem::Code;
use darkroom_shared::timestamp::UnixMillis;
use futures_util::FutureExt as _;
use futures_util::future::{Either, LocalBoxFuture, Shared, select};
use futures_util::lock::Mutex;
use worker::{Delay, DurableObject, Env, Request, Response, State, durable_object};

use super::log::{Flying, Log};
use super::message::{BOARDING, Boarding, Outcome, Role, is_gone, respond};
use super::reader::{add_reader, is_readable};
use crate::call::now;
use crate::failure::Failure;
use crate::order::{GENERATE, Order};
use crate::sending::Whole;
use crate::{json, settings};

/// How long a flight's job, and what was answered, are remembered.
const MEMORY: Duration = Duration::from_hours(24);
/// Patience that is left beyond the origin's, and not worth asking it again.
const WORTH_MILLIS: UnixMillis = 1_000;
/// Before asking again whether a job has been accepted that is about to be.
const PAUSE: Duration = Duration::from_millis(200);

/// One recipe's flight.
#[durable_object(alarm)]
pub struct Flight {
    state: State,
    env: Env,
    /// The call to the origin that is under way.
    call: RefCell<Option<OriginCall>>,
    /// The request's body, for as long as somebody here needs one. All bring the same but for the
    /// caller's label, and bodies may be large.
    body: RefCell<Weak<[u8]>>,
    /// Held by who reads a body: it takes time, in which others must not read theirs.
    reading: Mutex<()>,
}

/// Who asks, with the request as it came. Most need no body of their own, and leave it where it is.
struct Passenger {
    boarding: Boarding,
    request: Cell<Option<Request>>,
    body: OnceCell<Rc<[u8]>>,
}

impl Passenger {
    fn new(boarding: Boarding, request: Request) -> Self {
        Self {
            boarding,
            request: Cell::new(Some(request)),
            body: OnceCell::new(),
        }
    }

    /// The caller's own body, read once.
    async fn body(&self) -> worker::Result<Rc<[u8]>> {
        if let Some(body) = self.body.get() {
            return Ok(Rc::clone(body));
        }
        let mut request = self.request.take().ok_or("the body was lost")?;
        let body = request.bytes().await?.into();
        Ok(Rc::clone(self.body.get_or_init(|| body)))
    }
}

#[derive(Clone)]
struct OriginCall {
    /// Until when the origin waits for the pictures.
    until: UnixMillis,
    outcome: Shared<LocalBoxFuture<'static, Rc<Outcome>>>,
}

impl DurableObject for Flight {
    fn new(state: State, env: Env) -> Self {
        Self {
            state,
            env,
            call: RefCell::new(None),
            body: RefCell::new(Weak::<[u8; 0]>::new()),
            reading: Mutex::new(()),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        let Some(boarding) = request.headers().get(BOARDING)? else {
            Log::open(&self.state)?.forget()?;
            return Response::empty();
        };
        let passenger = Passenger::new(json::read(boarding)?, request);
        let (role, outcome) = self.board(&passenger).await?;
        respond(role, &outcome)
    }

    async fn alarm(&self) -> worker::Result<Response> {
        if self.under_way().is_some() {
            self.state.storage().set_alarm(MEMORY).await?;
            return Response::empty();
        }
        // With its database: recipes are many, and most are never asked for again.
        self.state.storage().delete_all().await?;
        Response::empty()
    }
}

impl Flight {
    async fn board(&self, passenger: &Passenger) -> worker::Result<(Role, Rc<Outcome>)> {
        let boarding = &passenger.boarding;
        let log = Log::open(&self.state)?;
        loop {
            let Some(flying) = log.flying()? else {
                if let Some(flying) = self.begin(&log, passenger).await? {
                    let outcome = self.wait(&flying, passenger).await?;
                    log.note(&flying, &outcome)?;
                    return Ok((Role::Led, outcome));
                }
                continue;
            };
            if let Some(answer) = &flying.answer {
                return Ok((Role::Late, Rc::new(Ok(Whole::json_text(answer)))));
            }
            if flying.account != boarding.account && !self.share(&log, &flying, boarding).await? {
                continue;
            }
            let outcome = self.wait(&flying, passenger).await?;
            log.note(&flying, &outcome)?;
            if !is_gone(&outcome) {
                return Ok((Role::Joined, outcome));
            }
            if flying.account != boarding.account
                && is_readable(&self.env, &flying.job, boarding).await
            {
                // Its owner has left it to those who joined.
                log.hand_over(&flying.job, &boarding.account)?;
            } else {
                log.forget_job(&flying)?;
            }
        }
    }

    /// Begins a flight, unless another has begun it in the meantime.
    async fn begin(&self, log: &Log, passenger: &Passenger) -> worker::Result<Option<Flying>> {
        let alone = self.reading.lock().await;
        if log.flying()?.is_some() {
            return Ok(None);
        }
        let body = passenger.body().await?;
        drop(alone);
        self.body.replace(Rc::downgrade(&body));
        let flying = log.begin(&passenger.boarding)?;
        self.call.replace(None);
        self.ask(&flying, &passenger.boarding, &body, 0);
        self.state.storage().set_alarm(MEMORY).await?;
        Ok(Some(flying))
    }

    /// Waits for the flight's pictures as long as the caller does.
    async fn wait(&self, flying: &Flying, passenger: &Passenger) -> worker::Result<Rc<Outcome>> {
        let boarding = &passenger.boarding;
        let patience = match boarding.deadline {
            // The origin has judged the deadline of who began; others need not wait beyond theirs.
            Some(deadline) if flying.job != boarding.job => deadline.min(boarding.wait),
            _ => boarding.wait,
        };
        let end = now() + UnixMillis::from(patience) * 1000;
        loop {
            let call = self.ask_once(flying, passenger, end).await?;
            let outcome = if call.until <= end + WORTH_MILLIS {
                call.outcome.await
            } else {
                let left = (end - now()).max(0).unsigned_abs();
                match select(call.outcome, Delay::from(Duration::from_millis(left))).await {
                    Either::Left((outcome, _)) => outcome,
                    Either::Right(_) => {
                        // The others wait on; this one is told how the job stands.
                        let body = self.body(passenger).await?;
                        return Ok(self.ask(flying, boarding, &body, 0).outcome.await);
                    }
                }
            };
            let is_unfinished = matches!(&*outcome, Ok(answer) if answer.status == 202);
            if !is_unfinished || call.until + WORTH_MILLIS >= end {
                return Ok(outcome);
            }
        }
    }

    /// The call to the origin that is under way, or one that waits until `end`.
    async fn ask_once(
        &self,
        flying: &Flying,
        passenger: &Passenger,
        end: UnixMillis,
    ) -> worker::Result<OriginCall> {
        if let Some(call) = self.under_way() {
            return Ok(call);
        }
        let body = self.body(passenger).await?;
        let call = self.under_way();
        Ok(call.unwrap_or_else(|| self.ask(flying, &passenger.boarding, &body, end - now())))
    }

    /// The body that is kept here, or the caller's own.
    async fn body(&self, passenger: &Passenger) -> worker::Result<Rc<[u8]>> {
        let _alone = self.reading.lock().await;
        if let Some(body) = self.body.borrow().upgrade() {
            return Ok(body);
        }
        let body = passenger.body().await?;
        self.body.replace(Rc::downgrade(&body));
        Ok(body)
    }

    fn under_way(&self) -> Option<OriginCall> {
        let call = self.call.borrow().clone();
        call.filter(|call| call.outcome.peek().is_none())
    }

    /// Begins a call to the origin, which waits for the pictures for so long.
    fn ask(
        &self,
        flying: &Flying,
        boarding: &Boarding,
        body: &Rc<[u8]>,
        left: UnixMillis,
    ) -> OriginCall {
        let leads = flying.job == boarding.job;
        let wait = u32::try_from(left.max(0) / 1000).unwrap_or_default();
        let (wait, prefer, deadline) = if leads {
            (boarding.wait, boarding.prefer.clone(), boarding.deadline)
        } else {
            // The job is accepted, or about to be: there is nothing left to refuse.
            (wait, Some(format!("wait={wait}")), None)
        };
        let (env, body, flying) = (self.env.clone(), Rc::clone(body), flying.clone());
        let caller = boarding.caller(flying.account.clone());
        let (request_id, trace) = (boarding.request_id.clone(), boarding.trace());
        let outcome = async move {
            let order = Order {
                path: GENERATE,
                job: &flying.job,
                task_id: None,
                caller: &caller,
                body: &body,
                prefer,
                wait,
                deadline,
                request_id: &request_id,
                trace,
            };
            let outcome = match settings::origin(&env) {
                Ok(origin) => order.hand_in(&origin).await,
                Err(failure) => Err(failure),
            };
            Rc::new(outcome)
        };
        let call = OriginCall {
            until: now() + UnixMillis::from(wait) * 1000,
            outcome: outcome.boxed_local().shared(),
        };
        if self.under_way().is_none() {
            self.call.replace(Some(call.clone()));
        }
        call
    }

    /// Makes the caller's account a reader of the job, so that nobody else can end it for them.
    /// The job may be about to be accepted: then this waits for it. False where the job has ended
    /// or been given up in the meantime: it is not asked for any more, lest that begin it anew.
    async fn share(&self, log: &Log, flying: &Flying, boarding: &Boarding) -> worker::Result<bool> {
        let is_flying = || {
            let known = log.flying()?;
            Ok(known.is_some_and(|known| known.job == flying.job && known.answer.is_none()))
        };
        while is_flying()? {
            match add_reader(&self.env, &flying.job, boarding).await {
                Err(Failure::Problem(problem)) if problem.code == Code::NotFound => {}
                // What else went wrong is in the log; the pictures are public all the same.
                Ok(()) | Err(_) => break,
            }
            if self.under_way().is_none() {
                break;
            }
            Delay::from(PAUSE).await;
        }
        is_flying()
    }
}
