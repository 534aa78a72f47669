//! What callers do with jobs: ask after them, watch them, call them off. How they are handed in is
//! in `accepting`.

use std::sync::Arc;
use std::time::Duration;

use darkroom_shared::job::{Image, Job, Page, Status};
use darkroom_shared::timestamp::UnixMillis;
use tokio::sync::{Notify, watch};

use super::{Changes, Pace, Phase, Places, Running, Watch};
use crate::addresses::Addresses;
use crate::database::{Database, DatabaseError, GivenUp, Reader, StoredJob};
use crate::metrics::Metrics;

/// What a [`JobQueue`] works with.
#[derive(Clone, Debug)]
pub struct JobQueueOptions {
    /// Where jobs are recorded.
    pub database: Database,
    /// Where pictures are fetched.
    pub addresses: Addresses,
    /// Where jobs wait.
    pub places: Places,
    /// Who watches.
    pub changes: Changes,
    /// Who works.
    pub running: Running,
    /// How fast.
    pub pace: Arc<Pace>,
    /// Wakes the worker when a job has been accepted, or may be taken up now.
    pub wake: Arc<Notify>,
    /// When to take nothing more.
    pub phases: watch::Receiver<Phase>,
    /// What counts jobs.
    pub metrics: Metrics,
}

/// Where callers hand jobs in.
#[derive(Clone, Debug)]
pub struct JobQueue(pub(super) JobQueueOptions);

impl JobQueue {
    /// The queue over what it works with.
    #[must_use]
    pub fn new(options: JobQueueOptions) -> Self {
        Self(options)
    }

    /// One of an account's jobs.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn job(&self, account: &str, id: &str) -> Result<Option<Job>, DatabaseError> {
        let stored = self.0.database.job(account, id, &self.0.addresses).await?;
        let placed = self.placed(stored.into_iter().collect()).await?;
        Ok(placed.into_iter().next())
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
        Ok(Page {
            items: self.placed(page.items).await?,
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
    pub async fn share(&self, id: &str, reader: &Reader<'_>) -> Result<bool, DatabaseError> {
        self.0.database.add_reader(id, reader).await
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
                // Its account may have had no other at work.
                queue.wake.notify_one();
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

    /// Fills in jobs' places in the queue and how long they may take.
    async fn placed(&self, all: Vec<StoredJob>) -> Result<Vec<Job>, DatabaseError> {
        let (places, pace) = (&self.0.places, &self.0.pace);
        let mut at_work = None;
        let mut jobs = Vec::with_capacity(all.len());
        for stored in all {
            let mut job = stored.job;
            let steps_left = job.progress.steps.saturating_sub(job.progress.step);
            let own = u64::from(steps_left) * stored.pixels;
            // Behind the last step of a picture its decoding is still to come.
            let steps = job.recipe.steps_taken().max(1);
            let pictures_left = steps_left.div_ceil(steps).max(1);
            let whole = u64::from(pictures_left) * u64::from(steps) * stored.pixels;
            match job.status {
                Status::Queued => {
                    // The same for all of them.
                    let at_work = match at_work {
                        Some(at_work) => at_work,
                        None => *at_work.insert(self.0.database.at_work().await?),
                    };
                    let ahead = at_work.and(places.before(stored.place).await?);
                    job.queue_position = Some(ahead.jobs);
                    job.eta_seconds = pace.estimate(own + ahead.pixel_steps);
                }
                Status::Running => job.eta_seconds = pace.estimate_left(own, whole),
                Status::Succeeded | Status::Failed | Status::Canceled => {}
            }
            jobs.push(job);
        }
        Ok(jobs)
    }
}

/// Runs a write and what must follow it to its end, even where the caller hangs up in between
/// and takes the future that awaits this along.
pub(super) async fn to_the_end<T: Send + 'static>(
    write: impl Future<Output = Result<T, DatabaseError>> + Send + 'static,
) -> Result<T, DatabaseError> {
    tokio::spawn(write).await.map_err(DatabaseError::CutOff)?
}
