//! The Durable Object of one key: keeps its [`Ledger`], and asks the origin what became of jobs
//! that nobody waited for.

use std::cell::{Cell, OnceCell};
use std::time::Duration;

use darkroom_shared::allowance::Allowance;
use darkroom_shared::job::Status;
use darkroom_shared::timestamp::UnixMillis;
use futures_util::future::join_all;
use serde::Deserialize;
use worker::{DurableObject, Env, Request, Response, ResponseBuilder, State, durable_object};

use super::ledger::{Ledger, OpenJob};
use super::message::{Balance, End, Message, NewJob, Refused};
use crate::auth::Caller;
use crate::call::now;
use crate::origin::{self, Ask};
use crate::{json, log, random, settings};

/// How long after images were taken it is asked what became of their job.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a job may be unknown to the origin: it may still be on its way there.
const ON_ITS_WAY_MILLIS: UnixMillis = 180_000;
/// Jobs asked after at once.
const MOST: u32 = 20;

/// Of a job, all that counts here.
#[derive(Deserialize)]
struct Stands {
    id: String,
    status: Status,
}

/// One key's allowance.
#[durable_object(alarm)]
pub struct KeyAllowance {
    state: State,
    env: Env,
    ledger: OnceCell<Ledger>,
    /// An alarm is set: to ask costs another wait.
    is_to_wake: Cell<bool>,
}

impl DurableObject for KeyAllowance {
    fn new(state: State, env: Env) -> Self {
        Self {
            state,
            env,
            ledger: OnceCell::new(),
            is_to_wake: Cell::new(false),
        }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let answer = match json::read(request.text().await?)? {
            Message::Take { allowance, job } => Some(self.take(&allowance, job).await?),
            Message::Ended { job, end } => {
                self.ledger()?.end(&job, end)?;
                None
            }
        };
        let answer = serde_json::to_vec(&answer)?;
        Ok(ResponseBuilder::new().fixed(answer))
    }

    /// Asks after jobs of whose end nobody has told, for as long as there are any.
    async fn alarm(&self) -> worker::Result<Response> {
        self.is_to_wake.set(false);
        self.settle().await?;
        if !self.ledger()?.open_jobs(1, now())?.is_empty() {
            self.be_woken().await?;
        }
        Response::empty()
    }
}

impl KeyAllowance {
    /// The books, opened once.
    fn ledger(&self) -> worker::Result<&Ledger> {
        if let Some(ledger) = self.ledger.get() {
            return Ok(ledger);
        }
        let ledger = Ledger::open(&self.state)?;
        Ok(self.ledger.get_or_init(|| ledger))
    }

    async fn take(&self, allowance: &Allowance, job: Option<NewJob>) -> worker::Result<Balance> {
        let (ledger, job) = (self.ledger()?, job.as_ref());
        let mut balance = ledger.take(allowance, 1, job, now())?;
        if balance.refused == Some(Refused::Images) {
            // Some may be due back, of jobs that failed where nobody looked.
            self.settle().await?;
            balance = ledger.take(allowance, 0, job, now())?;
        }
        if job.is_some() && balance.refused.is_none() {
            self.be_woken().await?;
        }
        Ok(balance)
    }

    /// Sees to it that it is asked after jobs.
    async fn be_woken(&self) -> worker::Result<()> {
        if !self.is_to_wake.get() {
            let storage = self.state.storage();
            if storage.get_alarm().await?.is_none() {
                storage.set_alarm(PATIENCE).await?;
            }
            self.is_to_wake.set(true);
        }
        Ok(())
    }

    /// Ends those of the open jobs that the origin says have ended.
    async fn settle(&self) -> worker::Result<()> {
        let ledger = self.ledger()?;
        let jobs = ledger.open_jobs(MOST, now())?;
        for job in &jobs {
            ledger.asked(&job.id, now())?;
        }
        let ends = join_all(jobs.iter().map(|job| self.end_of(job))).await;
        for (job, end) in jobs.iter().zip(ends) {
            if let Some(end) = end {
                ledger.end(&job.id, end)?;
            }
        }
        Ok(())
    }

    /// What became of a job; none while that is open or cannot be told.
    async fn end_of(&self, job: &OpenJob) -> Option<End> {
        let caller = Caller::account(job.account.clone());
        let request_id = random::request_id().to_string();
        let origin = settings::origin(&self.env).ok()?;
        let ask = Ask {
            method: "GET",
            path: &format!("/api/jobs/{}", job.id),
            query: "",
            caller: &caller,
            request_id: &request_id,
            headers: Vec::new(),
            body: &[],
            limit: origin.timeout,
            may_repeat: true,
            trace: random::trace(),
            observed: None,
        };
        // What went wrong is in the log by then; it is asked again.
        let answer = origin::ask(&origin, ask).await.ok()?;
        match answer.status {
            200 => {
                let stands = answer.json::<Stands>();
                let stands = stands
                    .inspect_err(|error| log::error(&request_id, format_args!("no job: {error}")))
                    .ok()?;
                match stands.status {
                    // Another's job, which it has joined, is nothing that was made for it.
                    _ if stands.id != job.id => Some(End::NotMade),
                    Status::Succeeded => Some(End::Made),
                    Status::Failed | Status::Canceled => Some(End::NotMade),
                    Status::Queued | Status::Running => None,
                }
            }
            404 if now() - job.since > ON_ITS_WAY_MILLIS => Some(End::NotMade),
            _ => None,
        }
    }
}
