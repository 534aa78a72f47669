//! What callers do with jobs: hand them in, ask after them, watch them, call them off.

use std::sync::Arc;
use std::time::Duration;

use darkroom_shared::job::{Image, Job, Page, Progress, Status};
use darkroom_shared::key::object_key;
use darkroom_shared::recipe::Recipe;
use darkroom_shared::request::GenerateRequest;
use darkroom_shared::timestamp::UnixMillis;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::{Changes, Pace, Phase, Places, Running, Watch};
use crate::addresses::Addresses;
use crate::cause::chain;
use crate::database::{
    Acceptance, Database, DatabaseError, GivenUp, NewImage, NewJob, Place, Priority, StoredJob,
    Waiting,
};
use crate::engine::Start;
use crate::metrics::Metrics;

/// What a [`JobQueue`] works with.
#[derive(Clone, Debug)]
pub struct JobQueueOptions {
    /// Where jobs are recorded.
    pub database: Database,
    /// Where pictures are fetched.
    pub addresses: Addresses,
    /// Jobs that may wait.
    pub queue_limit: u32,
    /// Where they wait.
    pub places: Places,
    /// Who watches.
    pub changes: Changes,
    /// Who works.
    pub running: Running,
    /// How fast.
    pub pace: Arc<Pace>,
    /// Wakes the worker when a job has been accepted.
    pub wake: Arc<Notify>,
    /// When to take nothing more.
    pub phases: watch::Receiver<Phase>,
    /// What counts jobs.
    pub metrics: Metrics,
}

/// What a caller hands in.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// The job's id. One that the account has handed in before is not made twice.
    pub id: Uuid,
    /// Whose job it is.
    pub account: &'a str,
    /// What was asked for.
    pub request: &'a GenerateRequest,
    /// What `request` was completed into.
    pub recipe: Recipe,
    /// The picture that it begins with.
    pub start: Option<Start>,
    /// Seconds within which it must be done.
    pub deadline: Option<u32>,
    /// How it stands beside others.
    pub priority: Priority,
    /// When it is handed in.
    pub now: UnixMillis,
}

/// Up to here a queue's limit is kept to the job; a longer queue is only counted now and then.
const EXACT_LIMIT: u32 = 1000;

/// Where callers hand jobs in.
#[derive(Clone, Debug)]
pub struct JobQueue(JobQueueOptions);

/// Why a job was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// Too many are waiting.
    #[error("too many jobs are waiting")]
    QueueFull {
        /// An estimate of the seconds until there is room, where there is one.
        seconds: Option<f64>,
    },
    /// Another account has a job of this id.
    #[error("the job is another account's")]
    Anothers,
    /// It would not be done in time.
    #[error("the job would take about {estimate} seconds, not {deadline}")]
    DeadlineMissed {
        /// Seconds that the caller has.
        deadline: u32,
        /// Seconds until it would be done.
        estimate: f64,
        /// Seconds that it would take with nothing before it.
        alone: f64,
    },
    /// The service is about to end.
    #[error("the service is draining")]
    Draining,
    /// It could not be recorded.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl JobQueue {
    /// The queue over what it works with.
    #[must_use]
    pub fn new(options: JobQueueOptions) -> Self {
        Self(options)
    }

    /// Accepts a job; the job as it is then.
    ///
    /// # Errors
    /// [`AcceptError`]; nothing was recorded then.
    pub async fn accept(&self, order: Order<'_>) -> Result<Job, AcceptError> {
        if *self.0.phases.borrow() != Phase::Serving {
            return Err(AcceptError::Draining);
        }
        let Order { account, now, .. } = order;
        let deadline = order.deadline;
        let new = NewJob {
            id: order.id,
            account: account.to_owned(),
            task_id: order.request.task_id.clone(),
            visibility: order.request.visibility,
            images: (0..order.request.n)
                .map(|index| {
                    let recipe = order.recipe.for_image(index);
                    new_image(order.request, &recipe, Uuid::new_v4(), now)
                })
                .collect::<Result<_, _>>()
                .map_err(DatabaseError::Recipe)?,
            recipe: order.recipe,
            start: order.start,
            previews: order.request.previews,
            priority: order.priority,
            webhook_url: order.request.webhook_url.clone(),
            deadline: self.moment(deadline).await?,
            now,
        };
        if let Some(deadline) = deadline {
            self.check_deadline(&new, deadline).await?;
        }
        let job = queued(&new);
        let (database, wake) = (self.0.database.clone(), Arc::clone(&self.0.wake));
        let queue_limit = self.queue_limit().await?;
        let places = self.0.places.clone();
        let acceptance = to_the_end(async move {
            let acceptance = database.accept(&new, queue_limit).await?;
            if acceptance == Acceptance::Accepted {
                places.accepted();
            }
            // One ring too many does no harm.
            wake.notify_one();
            Ok(acceptance)
        });
        match acceptance.await? {
            Acceptance::Accepted | Acceptance::Known => {
                let found = self.job(account, &job.id).await.unwrap_or_else(|error| {
                    // It is on record: a caller who was told to try again would get it twice.
                    tracing::error!(error = chain(&error), "an accepted job cannot be read");
                    None
                });
                Ok(found.unwrap_or(job))
            }
            Acceptance::Anothers => Err(AcceptError::Anothers),
            Acceptance::QueueFull => {
                // There is room when a machine takes the next job.
                let at_work = self.0.database.at_work().await?;
                let pixel_steps = at_work.and(Waiting::default()).pixel_steps;
                Err(AcceptError::QueueFull {
                    seconds: self.0.pace.estimate(pixel_steps),
                })
            }
        }
    }

    /// When a deadline in so many seconds is.
    async fn moment(&self, deadline: Option<u32>) -> Result<Option<UnixMillis>, DatabaseError> {
        let Some(seconds) = deadline else {
            return Ok(None);
        };
        let now = self.0.database.now().await?;
        Ok(Some(now + UnixMillis::from(seconds) * 1000))
    }

    /// The limit that is left to be checked when a job is recorded: none beyond what is worth
    /// counting each time.
    async fn queue_limit(&self) -> Result<u32, DatabaseError> {
        let limit = self.0.queue_limit;
        if limit <= EXACT_LIMIT {
            return Ok(limit);
        }
        let is_full = self.0.places.waiting().await? >= u64::from(limit);
        // A job that is on record already is answered all the same.
        Ok(if is_full { 0 } else { u32::MAX })
    }

    /// Refuses a job that would not be done in time, as far as anybody can tell.
    async fn check_deadline(&self, new: &NewJob, deadline: u32) -> Result<(), AcceptError> {
        let turn = self.0.database.next_turn(&new.account, new.priority);
        let ahead = self.0.places.ahead(Place::behind(turn.await?)).await?;
        let own = u64::from(new.steps()) * new.pixels();
        let estimate = |pixel_steps| self.0.pace.estimate(pixel_steps);
        match (estimate(ahead.pixel_steps + own), estimate(own)) {
            (Some(estimate), Some(alone)) if estimate > f64::from(deadline) => {
                Err(AcceptError::DeadlineMissed {
                    deadline,
                    estimate,
                    alone,
                })
            }
            _ => Ok(()),
        }
    }

    /// One of an account's jobs.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn job(&self, account: &str, id: &str) -> Result<Option<Job>, DatabaseError> {
        let stored = self.0.database.job(account, id, &self.0.addresses).await?;
        match stored {
            Some(stored) => Ok(Some(self.placed(stored).await?)),
            None => Ok(None),
        }
    }

    /// A page of an account's jobs, newest first; `cursor` is the page before's.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn jobs(
        &self,
        account: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Job>, DatabaseError> {
        let JobQueueOptions {
            database,
            addresses,
            ..
        } = &self.0;
        let page = database.jobs(account, cursor, limit, addresses).await?;
        let mut items = Vec::with_capacity(page.items.len());
        for job in page.items {
            items.push(self.placed(job).await?);
        }
        Ok(Page {
            items,
            next_cursor: page.next_cursor,
        })
    }

    /// One of an account's stored images.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn image(&self, account: &str, id: &str) -> Result<Option<Image>, DatabaseError> {
        self.0.database.image(account, id, &self.0.addresses).await
    }

    /// Lets an account share a job, and be told of its end; false where there is none to share.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn share(
        &self,
        account: &str,
        id: &str,
        task_id: Option<&str>,
        webhook_url: Option<&str>,
    ) -> Result<bool, DatabaseError> {
        let database = &self.0.database;
        database.add_reader(id, account, task_id, webhook_url).await
    }

    /// Cancels one of an account's jobs; one that has ended stays as it is. A job that another
    /// account shares goes on for that one.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn cancel(
        &self,
        account: &str,
        id: &str,
        now: UnixMillis,
    ) -> Result<Option<Job>, DatabaseError> {
        let Some(status) = self.0.database.status(account, id).await? else {
            return Ok(None);
        };
        let before = self.job(account, id).await;
        if status.is_final() {
            return before;
        }
        let (queue, whose, job_id) = (self.0.clone(), account.to_owned(), id.to_owned());
        let given_up = to_the_end(async move {
            let given_up = queue.database.give_up(&job_id, &whose, now).await?;
            if given_up == GivenUp::ByAll(true) {
                queue.metrics.jobs.ended(Status::Canceled, None);
                queue.running.end(&job_id);
                queue.changes.announce(&job_id);
            }
            Ok(given_up)
        });
        match given_up.await? {
            GivenUp::ByAll(_) => self.job(account, id).await,
            // Of no more interest to this account, and as it was when it said so.
            GivenUp::ByOne => before,
        }
    }

    /// Waits until a job ends, `limit` is over, or the service drains; the job as it is then.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn wait(
        &self,
        account: &str,
        id: &str,
        limit: Duration,
    ) -> Result<Option<Job>, DatabaseError> {
        let mut watch = self.watch(id);
        let mut phases = self.0.phases.clone();
        let end = tokio::time::sleep(limit);
        tokio::pin!(end);
        while !limit.is_zero() {
            let status = self.0.database.status(account, id).await?;
            if status.is_none_or(Status::is_final) {
                break;
            }
            tokio::select! {
                () = watch.changed() => {}
                () = &mut end => break,
                () = Phase::reached(&mut phases, Phase::Draining) => break,
            }
        }
        self.job(account, id).await
    }

    /// Watches a job.
    #[must_use]
    pub fn watch(&self, id: &str) -> Watch {
        self.0.changes.watch(id)
    }

    /// Returns when the service drains.
    pub async fn draining(&self) {
        Phase::reached(&mut self.0.phases.clone(), Phase::Draining).await;
    }

    /// Fills in a job's place in the queue and how long it may take.
    async fn placed(&self, stored: StoredJob) -> Result<Job, DatabaseError> {
        let mut job = stored.job;
        let steps_left = job.progress.steps.saturating_sub(job.progress.step);
        let own = u64::from(steps_left) * stored.pixels;
        match job.status {
            Status::Queued => {
                let ahead = self.0.places.ahead(stored.place).await?;
                job.queue_position = Some(ahead.jobs);
                job.eta_seconds = self.0.pace.estimate(own + ahead.pixel_steps);
            }
            Status::Running => job.eta_seconds = self.0.pace.estimate(own),
            Status::Succeeded | Status::Failed | Status::Canceled => {}
        }
        Ok(job)
    }
}

/// Runs a write and what must follow it to its end, even where the caller hangs up in between
/// and takes the future that awaits this along.
async fn to_the_end<T: Send + 'static>(
    write: impl Future<Output = Result<T, DatabaseError>> + Send + 'static,
) -> Result<T, DatabaseError> {
    tokio::spawn(write).await.map_err(DatabaseError::CutOff)?
}

/// A job as it is when it has just been accepted.
fn queued(new: &NewJob) -> Job {
    Job {
        id: new.id.to_string(),
        status: Status::Queued,
        task_id: new.task_id.clone(),
        created_at: new.now,
        started_at: None,
        finished_at: None,
        progress: Progress {
            step: 0,
            steps: new.steps(),
        },
        queue_position: None,
        eta_seconds: None,
        images: Vec::new(),
        error: None,
        recipe: new.recipe.clone(),
    }
}

/// An image with the name that its object will have, whenever it is made.
fn new_image(
    request: &GenerateRequest,
    recipe: &Recipe,
    id: Uuid,
    now: UnixMillis,
) -> Result<NewImage, serde_json::Error> {
    Ok(NewImage {
        id,
        key: object_key(now.div_euclid(1000), id, request.format, request.visibility),
        seed: recipe.seed,
        recipe_sha256: recipe.hash()?,
    })
}
