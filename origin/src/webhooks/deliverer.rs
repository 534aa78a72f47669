//! Sends what is due.

use std::collections::HashMap;
use std::time::Duration;

use darkroom_shared::job::Job;
use darkroom_shared::timestamp::UnixMillis;
use darkroom_shared::webhook::{AttemptError, Event, Kind};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::timeout;

use super::schedule::verdict;
use super::signing;
use crate::addresses::Addresses;
use crate::cause::chain;
use crate::database::{Database, DatabaseError, DueDelivery, Verdict};
use crate::jobs::{Phase, Rounds};
use crate::outbound::{Outbound, OutboundError, Posted};
use crate::traces::Traces;

/// How often is looked for what is due.
const LOOK: Duration = Duration::from_secs(1);
/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a claim holds: who has not recorded an attempt by then is dead.
const LEASE: Duration = Duration::from_secs(45);
/// Attempts at once.
const SLOTS: usize = 32;
/// How many of them with one receiver: those that take their time must be many to keep all others
/// waiting.
const SLOTS_OF_ONE: usize = 4;
/// How long attempts may go on when the process is about to end.
const LAST: Duration = Duration::from_secs(3);

const _: () = assert!(LEASE.as_secs() > 2 * PATIENCE.as_secs());

/// Tells receivers what has happened.
#[derive(Clone, Debug)]
pub struct Deliverer {
    /// Where it is written down.
    pub database: Database,
    /// Where pictures are fetched.
    pub addresses: Addresses,
    /// How receivers are reached.
    pub outbound: Outbound,
    /// Where the spans of attempts go.
    pub traces: Traces,
}

/// Why an event was not sent, and no fault of the receiver's.
#[derive(Debug, thiserror::Error)]
enum DeliveryError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("the job is no longer its account's")]
    Gone,
    #[error("the event cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    #[error("the event cannot be signed")]
    Signing(#[from] standardwebhooks::WebhookError),
    #[error("the system has no random numbers")]
    Random(#[from] getrandom::Error),
}

impl Deliverer {
    /// Delivers until the process is about to end.
    pub async fn keep(self, phases: watch::Receiver<Phase>) {
        let mut rounds = Rounds::every(LOOK, phases);
        let mut at_work = AtWork::default();
        loop {
            tokio::select! {
                goes_on = rounds.next() => if !goes_on { break },
                true = at_work.one_ends() => {}
            }
            if let Err(error) = self.begin(&mut at_work).await {
                tracing::warn!(error = chain(&error), "due webhooks cannot be read");
            }
        }
        let rest = async { while at_work.one_ends().await {} };
        if timeout(LAST, rest).await.is_err() {
            tracing::info!("webhooks were cut off; they are sent again when their leases are over");
        }
    }

    /// Begins as many attempts as are due and there is room for.
    async fn begin(&self, at_work: &mut AtWork) -> Result<(), DatabaseError> {
        let free = SLOTS.saturating_sub(at_work.tasks.len());
        if free == 0 {
            return Ok(());
        }
        let now = self.database.now().await?;
        let by_receiver = at_work.by_receiver();
        let due = self
            .database
            .claim_deliveries(free, SLOTS_OF_ONE, &by_receiver, LEASE, now);
        for delivery in due.await? {
            let deliverer = self.clone();
            let receiver = delivery.receiver.clone();
            at_work.begin(receiver, async move {
                if let Err(error) = deliverer.attempt(&delivery).await {
                    let (id, error) = (&delivery.id, chain(&error));
                    tracing::error!(id, error, "a webhook was not sent, and waits");
                }
            });
        }
        Ok(())
    }

    async fn attempt(&self, delivery: &DueDelivery) -> Result<(), DeliveryError> {
        let now = self.database.now().await?;
        let outcome = match self.send(delivery, now).await {
            Err(error @ DeliveryError::Gone) => {
                tracing::info!(
                    id = delivery.id,
                    error = chain(&error),
                    "a webhook is not sent"
                );
                let verdict = Verdict::Failed;
                let recorded = self
                    .database
                    .record_attempt(delivery, None, None, verdict, now);
                return Ok(recorded.await?);
            }
            // Nobody was asked, so that it is no try of the receiver's.
            Err(error) => {
                self.database.not_tried(delivery).await?;
                return Err(error);
            }
            Ok(outcome) => outcome,
        };
        let (answer, error) = match outcome {
            Ok(answer) => (Some(answer), None),
            Err(error) => {
                let (id, cause) = (&delivery.id, chain(&error));
                tracing::info!(id, error = cause, "a webhook has no answer");
                (None, Some(class(&error)))
            }
        };
        // Without randomness there are worse troubles than receivers that are told all at once.
        let random = getrandom::u32().unwrap_or(u32::MAX / 2);
        let chance = f64::from(random) / f64::from(u32::MAX);
        let verdict = verdict(delivery.attempts, answer, chance);
        let status = answer.map(|answer| answer.status);
        let now = self.database.now().await?;
        self.database
            .record_attempt(delivery, status, error, verdict, now)
            .await?;
        let (id, attempt) = (&delivery.id, delivery.attempts);
        tracing::info!(id, attempt, status, ?verdict, "a webhook was tried");
        Ok(())
    }

    async fn send(
        &self,
        delivery: &DueDelivery,
        now: UnixMillis,
    ) -> Result<Result<Posted, OutboundError>, DeliveryError> {
        let (account, job) = (&delivery.account, &delivery.job_id);
        let job = self.database.job(account, job, &self.addresses).await?;
        let trace = job.as_ref().and_then(|stored| stored.trace);
        let body = event(delivery, job.map(|stored| stored.job))?;
        let secrets = self.database.signing_secrets(account, now).await?;
        let headers = signing::headers(&delivery.id, now.div_euclid(1000), &body, &secrets)?;
        let span = self.traces.at(trace).ask("webhook");
        span.set("darkroom.webhook.id", delivery.id.clone());
        span.set("darkroom.attempt", i64::from(delivery.attempts));
        let sent = self
            .outbound
            .post_json(&delivery.url, headers, body, PATIENCE)
            .await;
        match &sent {
            Ok(answer) => span.set("http.response.status_code", i64::from(answer.status)),
            Err(error) => span.fail(class(error).as_str()),
        }
        Ok(sent)
    }
}

fn event(delivery: &DueDelivery, job: Option<Job>) -> Result<Vec<u8>, DeliveryError> {
    let job = job.ok_or(DeliveryError::Gone)?;
    let kind = Kind::of(job.status).ok_or(DeliveryError::Gone)?;
    Ok(serde_json::to_vec(&Event {
        kind,
        timestamp: delivery.created_at,
        data: job,
    })?)
}

const fn class(error: &OutboundError) -> AttemptError {
    match error {
        OutboundError::NotAllowed => AttemptError::NotAllowed,
        OutboundError::Unreachable(_) => AttemptError::Unreachable,
        OutboundError::TimedOut => AttemptError::TimedOut,
        OutboundError::Interrupted(_) | OutboundError::TooLarge { .. } => AttemptError::Interrupted,
    }
}

/// Attempts that have begun, and with whom.
#[derive(Default)]
struct AtWork {
    tasks: JoinSet<()>,
    receivers: HashMap<Id, String>,
}

impl AtWork {
    fn begin(&mut self, receiver: String, attempt: impl Future<Output = ()> + Send + 'static) {
        let id = self.tasks.spawn(attempt).id();
        self.receivers.insert(id, receiver);
    }

    /// Returns when one has ended; false where there is none. It may be called off.
    async fn one_ends(&mut self) -> bool {
        let Some(ended) = self.tasks.join_next_with_id().await else {
            return false;
        };
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, ())| *id);
        self.receivers.remove(&id);
        if let Err(error) = ended {
            tracing::error!(error = chain(&error), "a webhook's attempt panicked");
        }
        true
    }

    fn by_receiver(&self) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for receiver in self.receivers.values() {
            *counts.entry(receiver.clone()).or_default() += 1;
        }
        counts
    }
}
