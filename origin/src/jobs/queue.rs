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

use super::{Changes, Pace, Phase, Running, Watch};
use crate::addresses::Addresses;
use crate::database::{Acceptance, Database, DatabaseError, NewImage, NewJob, StoredJob};
use crate::engine::Start;

/// What a [`JobQueue`] works with.
#[derive(Clone, Debug)]
pub struct JobQueueOptions {
    /// Where jobs are recorded.
    pub database: Database,
    /// Where pictures are fetched.
    pub addresses: Addresses,
    /// Jobs that may wait.
    pub queue_limit: u32,
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
}

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

    /// Accepts a job for `recipe`, which `request` was completed into, and which begins with
    /// `start`; the job as it is then.
    ///
    /// # Errors
    /// [`AcceptError`]; nothing was recorded then.
    pub async fn accept(
        &self,
        account: &str,
        request: &GenerateRequest,
        recipe: Recipe,
        start: Option<Start>,
        now: UnixMillis,
    ) -> Result<Job, AcceptError> {
        if *self.0.phases.borrow() != Phase::Serving {
            return Err(AcceptError::Draining);
        }
        let new = NewJob {
            id: Uuid::now_v7(),
            account: account.to_owned(),
            task_id: request.task_id.clone(),
            visibility: request.visibility,
            images: (0..request.n)
                .map(|index| new_image(request, &recipe.for_image(index), Uuid::new_v4(), now))
                .collect::<Result<_, _>>()
                .map_err(DatabaseError::Recipe)?,
            recipe,
            start,
            previews: request.previews,
            now,
        };
        let job = queued(&new);
        let (database, wake) = (self.0.database.clone(), Arc::clone(&self.0.wake));
        let queue_limit = self.0.queue_limit;
        let acceptance = to_the_end(async move {
            let acceptance = database.accept(&new, queue_limit).await?;
            // One ring too many does no harm.
            wake.notify_one();
            Ok(acceptance)
        });
        match acceptance.await? {
            Acceptance::Accepted => Ok(job),
            Acceptance::QueueFull => {
                let pixel_steps = self.0.database.until_next_claim().await?;
                Err(AcceptError::QueueFull {
                    seconds: self.0.pace.estimate(pixel_steps),
                })
            }
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

    /// Cancels one of an account's jobs; one that has ended stays as it is.
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
        if !status.is_final() {
            let (queue, id) = (self.0.clone(), id.to_owned());
            to_the_end(async move {
                if queue.database.cancel(&id, now).await? {
                    queue.running.end(&id);
                    queue.changes.announce(&id);
                }
                Ok(())
            })
            .await?;
        }
        self.job(account, id).await
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
                let ahead = self.0.database.ahead(stored.sequence).await?;
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
