//! Progress on its way into the database, off the engine's thread: the engine never waits for
//! the disk.

use tokio::sync::mpsc;

use super::{Changes, Running};
use crate::cause::chain;
use crate::clock;
use crate::database::{Database, DatabaseError};

/// Takes in progress and writes it down in the background.
#[derive(Clone, Debug)]
pub struct Progress {
    sender: mpsc::UnboundedSender<Update>,
}

#[derive(Debug)]
struct Update {
    job: String,
    step: u32,
}

impl Progress {
    /// Starts the task that writes; it ends with the last clone of what is returned.
    #[must_use]
    pub fn start(database: Database, changes: Changes, running: Running) -> Self {
        let (sender, mut receiver) = mpsc::unbounded_channel::<Update>();
        let record = Record {
            database,
            changes,
            running,
        };
        tokio::spawn(async move {
            while let Some(mut update) = receiver.recv().await {
                // A disk slower than the engine gets the latest step only.
                while let Ok(newer) = receiver.try_recv() {
                    if newer.job != update.job {
                        record.write(&update).await;
                    }
                    update = newer;
                }
                record.write(&update).await;
            }
        });
        Self { sender }
    }

    /// Takes in that `step` steps of a job are done.
    pub fn report(&self, job: &str, step: u32) {
        let update = Update {
            job: job.to_owned(),
            step,
        };
        if self.sender.send(update).is_err() {
            tracing::error!(job, "progress is no longer written down");
        }
    }
}

/// Where progress is written down.
struct Record {
    database: Database,
    changes: Changes,
    running: Running,
}

impl Record {
    async fn write(&self, update: &Update) {
        if let Err(error) = self.try_to_write(update).await {
            // The job's end is what counts, and is written by others with more patience.
            tracing::warn!(
                job = update.job,
                error = chain(&error),
                "progress was not written down"
            );
        }
    }

    async fn try_to_write(&self, update: &Update) -> Result<(), DatabaseError> {
        let Update { job, step } = update;
        if self.database.progress(job, *step, clock::now()).await? {
            self.changes.announce(job);
        } else if !self.database.is_running(job).await? {
            // Ended by somebody who could not reach the engine.
            self.running.end(job);
        }
        Ok(())
    }
}
