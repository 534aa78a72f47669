//! Charging a call to its caller's key.

use std::time::Duration;

use darkroom_shared::allowance::{Allowance, left_header};
use darkroom_shared::problem::{Code, Problem};
use serde::de::DeserializeOwned;
use worker::Env;

use super::message::{Balance, End, Message, NewJob, Refused};
use crate::auth::Caller;
use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::reply::Headers;
use crate::{log, objects, settings};

/// Longer than any ledger takes, even one that asks the origin first.
const LIMIT: Duration = Duration::from_secs(20);

/// A job's images, taken from a key's allowance: for as long as its end is not told, they count.
pub struct Charge {
    env: Env,
    ledger: String,
    job: String,
}

/// What came of charging a call.
pub struct Taken {
    allowance: Allowance,
    balance: Balance,
    charge: Option<Charge>,
}

/// The headers that tell what is left.
#[derive(Debug)]
pub struct LimitHeaders {
    pub(super) policy: String,
    pub(super) left: String,
}

impl LimitHeaders {
    /// Writes them into an answer.
    pub fn write(&self, headers: &Headers) {
        headers.set("ratelimit-policy", &*self.policy);
        headers.set("ratelimit", &*self.left);
    }
}

/// Takes one request from an allowance of the caller's own. Callers who have none are held to
/// the shield alone in what makes no images.
pub async fn requests(call: &Call, caller: &Caller) -> Result<Option<Taken>, Failure> {
    if caller.limits.rate_per_minute.is_none() {
        return Ok(None);
    }
    let taken = Taken::ask(call, caller, None).await?;
    taken.check_requests()?;
    Ok(Some(taken))
}

impl Taken {
    /// Takes one request, and the images of the job `job` that is about to be handed in.
    pub async fn images(
        call: &Call,
        caller: &Caller,
        job: &str,
        images: u32,
    ) -> Result<Self, Failure> {
        let new = NewJob {
            id: job.to_owned(),
            account: caller.as_str().to_owned(),
            images,
        };
        let taken = Self::ask(call, caller, Some(new)).await?;
        taken.check_requests()?;
        Ok(taken)
    }

    async fn ask(call: &Call, caller: &Caller, job: Option<NewJob>) -> Result<Self, Failure> {
        let allowance = settings::allowance(&call.env, &caller.limits)?;
        let id = job.as_ref().map(|job| job.id.clone());
        let message = Message::Take { allowance, job };
        let balance: Balance = ask(&call.env, &caller.ledger, &message).await?;
        let charge = id.filter(|_| balance.refused.is_none());
        Ok(Self {
            allowance,
            balance,
            charge: charge.map(|job| Charge {
                env: call.env.clone(),
                ledger: caller.ledger.to_string(),
                job,
            }),
        })
    }

    /// So many images are given back: what is told to be left has them.
    pub fn returns(&mut self, images: u32) {
        let left = &mut self.balance.images.remaining;
        *left = left.saturating_add(images).min(self.allowance.images.limit);
    }

    /// The images that were taken.
    ///
    /// # Errors
    /// [`Code::QuotaExceeded`] where too few are left.
    pub fn charge(&mut self) -> Result<Charge, Failure> {
        self.charge.take().ok_or_else(|| {
            let left = self.balance.images;
            let detail = format!(
                "{} of today's {} images are left; more from {} seconds on",
                left.remaining, self.allowance.images.limit, left.resets_in
            );
            self.refusal(Code::QuotaExceeded, left.resets_in, detail)
        })
    }

    fn check_requests(&self) -> Result<(), Failure> {
        if self.balance.refused != Some(Refused::Requests) {
            return Ok(());
        }
        let (limit, seconds) = (
            self.allowance.requests.limit,
            self.balance.requests.resets_in,
        );
        let detail = format!("this key may send {limit} requests a minute");
        Err(self.refusal(Code::RateLimited, seconds, detail))
    }

    fn refusal(&self, code: Code, seconds: u32, detail: String) -> Failure {
        let problem = Problem {
            retry_after: Some(seconds),
            ..Problem::new(code, detail)
        };
        Failure::Limited(Box::new((problem, self.headers())))
    }

    /// Has an answer tell what is left, whatever else it says.
    pub fn tell_in(&self, answer: Answer) -> Answer {
        match answer {
            Ok(reply) => {
                self.headers().write(&reply.headers);
                Ok(reply)
            }
            Err(failure) => Err(self.told_in(failure)),
        }
    }

    /// The same of an answer that is a failure.
    pub fn told_in(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Problem(problem) => Failure::Limited(Box::new((*problem, self.headers()))),
            other => other,
        }
    }

    fn headers(&self) -> LimitHeaders {
        let Balance {
            requests, images, ..
        } = self.balance;
        LimitHeaders {
            policy: self.allowance.policy_header(),
            left: left_header(requests, images),
        }
    }
}

impl Charge {
    /// Tells the ledger how the job ended. Where that fails, the ledger finds it out by itself.
    pub async fn end(self, end: End) {
        tell(&self.env, &self.ledger, self.job, end).await;
    }
}

/// Tells the caller's ledger that one of its jobs ended without its images, should it be charged
/// for them.
pub async fn not_made(env: &Env, ledger: &str, job: String) {
    tell(env, ledger, job, End::NotMade).await;
}

async fn ask<T: DeserializeOwned>(
    env: &Env,
    ledger: &str,
    message: &Message,
) -> Result<T, Failure> {
    objects::ask(env, settings::KEY_ALLOWANCES, ledger, message, LIMIT).await
}

async fn tell(env: &Env, ledger: &str, job: String, end: End) {
    let message = Message::Ended { job, end };
    let told: Result<(), _> = ask(env, ledger, &message).await;
    if let Err(error) = told {
        log::error(
            "",
            format_args!("a ledger was not told of a job's end: {error}"),
        );
    }
}
