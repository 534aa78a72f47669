//! Writing down how work ended, with patience: a database that is busy or away for a while
//! must not cost a finished picture.

use std::sync::Arc;

use darkroom_shared::job::{JobError, Status};
use darkroom_shared::problem::Code;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use super::pause::some_pause;
use super::{Changes, Phase, Progress, Running};
use crate::cause::chain;
use crate::database::{Database, DatabaseError, Lease, Stored, Tried};
use crate::metrics::Metrics;
use crate::storage::backoff;

/// Ends jobs, and tells those who work on them or watch them.
#[derive(Clone, Debug)]
pub struct Endings {
    /// Where they are recorded.
    pub database: Database,
    /// Who watches.
    pub changes: Changes,
    /// Who works.
    pub running: Running,
    /// What is still to be written of the way there.
    pub progress: Progress,
    /// When to give up.
    pub phases: watch::Receiver<Phase>,
    /// What counts them.
    pub metrics: Metrics,
    /// Wakes the worker: where accounts may have so many jobs at work, another is free to be taken up.
    pub wake: Arc<Notify>,
}

impl Endings {
    /// Records that a job's image is stored; `None` where the process ends first.
    pub async fn stored(
        &self,
        lease: &Lease,
        image: &str,
        bytes: u64,
        sha256: &str,
    ) -> Option<Stored> {
        // A job that has ended takes no more previews.
        self.progress.written().await;
        let job = &lease.job;
        let write = || async {
            let now = self.database.now().await?;
            self.database
                .image_stored(lease, image, bytes, sha256, now)
                .await
        };
        let stored = self.until_written(job, write).await?;
        if stored == Stored::Last {
            tracing::info!(job, "the job has succeeded");
            self.metrics.jobs.ended(Status::Succeeded, None);
            self.changes.announce(job);
            self.wake.notify_one();
        }
        Some(stored)
    }

    /// Records that a job failed. `message` is for its owner; the cause has been logged.
    pub async fn failed(&self, lease: &Lease, code: Code, message: &str) {
        let error = JobError {
            code,
            message: message.to_owned(),
        };
        let write = || async {
            let now = self.database.now().await?;
            self.database.fail(lease, &error, now).await
        };
        if self.until_written(&lease.job, write).await == Some(true) {
            self.metrics.jobs.ended(Status::Failed, Some(code));
            self.running.end(&lease.job);
            self.changes.announce(&lease.job);
            self.wake.notify_one();
        }
    }

    /// Records that a try to make a job failed: it is tried again a while later, here or
    /// elsewhere, unless that has been done often enough.
    pub async fn tried(&self, lease: &Lease, code: Code, message: &str) {
        let error = JobError {
            code,
            message: message.to_owned(),
        };
        // That it was begun counts, too.
        self.progress.written().await;
        let write = || async {
            let now = self.database.now().await?;
            self.database
                .try_again(lease, &error, some_pause, now)
                .await
        };
        if let Some(tried) = self.until_written(&lease.job, write).await {
            tracing::info!(job = lease.job, ?tried, "the try has ended");
            match tried {
                Tried::Again => self.metrics.jobs.retried(),
                Tried::Failed => self.metrics.jobs.ended(Status::Failed, Some(code)),
                Tried::Lost => {}
            }
            self.running.lost(lease);
            self.changes.announce(&lease.job);
            self.wake.notify_one();
        }
    }

    /// Tries until the database takes it; `None` where the process ends first.
    async fn until_written<T, W>(&self, job: &str, write: impl Fn() -> W) -> Option<T>
    where
        W: Future<Output = Result<T, DatabaseError>>,
    {
        let mut phases = self.phases.clone();
        for failures in 1.. {
            match write().await {
                Ok(done) => return Some(done),
                Err(error) => {
                    tracing::error!(
                        job,
                        error = chain(&error),
                        "the job's end was not written down; trying again"
                    );
                }
            }
            tokio::select! {
                () = sleep(backoff(failures)) => {}
                () = Phase::reached(&mut phases, Phase::Stopping) => break,
            }
        }
        None
    }
}
