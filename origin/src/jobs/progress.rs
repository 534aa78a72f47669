//! Progress on its way into the books, off the engine's thread: the engine never waits for
//! the disk.

use tokio::sync::mpsc;

use super::Changes;
use crate::clock;
use crate::database::Database;

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
    pub fn start(database: Database, changes: Changes) -> Self {
        let (sender, mut receiver) = mpsc::unbounded_channel::<Update>();
        tokio::spawn(async move {
            while let Some(mut update) = receiver.recv().await {
                // A disk slower than the engine gets the latest step only.
                while let Ok(newer) = receiver.try_recv() {
                    if newer.job != update.job {
                        write(&database, &changes, &update).await;
                    }
                    update = newer;
                }
                write(&database, &changes, &update).await;
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

async fn write(database: &Database, changes: &Changes, update: &Update) {
    match database
        .progress(&update.job, update.step, clock::now())
        .await
    {
        Ok(true) => changes.announce(&update.job),
        Ok(false) => {}
        // The job's end is what counts, and is written by others with more patience.
        Err(error) => tracing::warn!(job = update.job, %error, "progress was not written down"),
    }
}
