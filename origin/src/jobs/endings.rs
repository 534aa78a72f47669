//! Writing down how work ended, with patience: a database that is busy or away for a while
//! must not cost a finished picture.

use darkroom_shared::job::JobError;
use darkroom_shared::problem::Code;
use tokio::sync::watch;
use tokio::time::sleep;

use super::{Changes, Phase, Progress, Running};
use crate::cause::chain;
use crate::clock;
use crate::database::{Database, DatabaseError};
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
}

impl Endings {
    /// Records that a job's image is stored. False where the process ends first.
    pub async fn stored(&self, job: &str, image: &str, bytes: u64, sha256: &str) -> bool {
        // A job that has ended takes no more previews.
        self.progress.written().await;
        let write = || {
            self.database
                .image_stored(image, bytes, sha256, clock::now())
        };
        let Some(ended) = self.until_written(job, write).await else {
            return false;
        };
        if ended {
            tracing::info!(job, "the job has succeeded");
            self.changes.announce(job);
        }
        true
    }

    /// Records that a job failed. `message` is for its owner; the cause has been logged.
    pub async fn failed(&self, job: &str, code: Code, message: &str) {
        let error = JobError {
            code,
            message: message.to_owned(),
        };
        let write = || self.database.fail(job, &error, clock::now());
        if self.until_written(job, write).await == Some(true) {
            self.running.end(job);
            self.changes.announce(job);
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
