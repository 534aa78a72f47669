//! Progress on its way into the database, off the engine's thread: the engine never waits for
//! the disk.

use darkroom_shared::request::Format;
use tokio::sync::{mpsc, oneshot};

use super::{Changes, Running};
use crate::cause::chain;
use crate::clock;
use crate::database::{Database, DatabaseError, Lease};
use crate::encode;
use crate::engine::Picture;
use crate::vital::Vital;

/// What may wait to be written: a database that hangs for so many steps hears of the rest later.
const WAITING: usize = 256;

/// Takes in progress and writes it down in the background.
#[derive(Clone, Debug)]
pub struct Progress {
    sender: mpsc::Sender<Message>,
}

#[derive(Debug)]
enum Message {
    Begun(Lease),
    Anew(Lease),
    Update(Update),
    /// Closes when all that came before it is written.
    Mark(oneshot::Sender<()>),
}

#[derive(Debug)]
struct Update {
    lease: Lease,
    step: u32,
    preview: Option<Preview>,
}

/// What can be seen of a picture that is being made.
#[derive(Debug)]
pub struct Preview {
    /// As the engine has it.
    pub picture: Picture,
    /// What to write it as.
    pub format: Format,
}

impl Progress {
    /// Starts the task that writes; it ends with the last clone of what is returned.
    #[must_use]
    pub fn start(database: Database, changes: Changes, running: Running, vital: &Vital) -> Self {
        let (sender, mut receiver) = mpsc::channel(WAITING);
        let record = Record {
            database,
            changes,
            running,
        };
        vital.spawn("progress", async move {
            let mut waiting = None;
            while let Some(message) = receiver.recv().await {
                record.take(&mut waiting, message).await;
                // A disk slower than the engine gets the latest step only, and every preview.
                while let Ok(message) = receiver.try_recv() {
                    record.take(&mut waiting, message).await;
                }
                record.write(waiting.take()).await;
            }
        });
        Self { sender }
    }

    /// Takes in that `step` steps of a job are done, and what can be seen by then.
    pub fn report(&self, lease: &Lease, step: u32, preview: Option<Preview>) {
        let update = Update {
            lease: lease.clone(),
            step,
            preview,
        };
        self.send(Message::Update(update), lease);
    }

    /// Takes in that a claimed job is begun.
    pub fn begun(&self, lease: &Lease) {
        self.send(Message::Begun(lease.clone()), lease);
    }

    /// Takes in that a job which an earlier claim had saved is made from its beginning.
    pub fn begun_anew(&self, lease: &Lease) {
        self.send(Message::Anew(lease.clone()), lease);
    }

    /// The engine does not wait: what is not told here, the next step tells.
    fn send(&self, message: Message, lease: &Lease) {
        if self.sender.try_send(message).is_err() {
            tracing::warn!(job = lease.job, "progress is not written down at present");
        }
    }

    /// Returns when all that was reported before is written down.
    pub async fn written(&self) {
        let (mark, reached) = oneshot::channel();
        // Where the task has ended, nothing is left to be written.
        drop(self.sender.send(Message::Mark(mark)).await);
        drop(reached.await);
    }
}

/// Where progress is written down.
struct Record {
    database: Database,
    changes: Changes,
    running: Running,
}

impl Record {
    /// Takes a message in: an update waits, since a newer one may make it superfluous.
    async fn take(&self, waiting: &mut Option<Update>, message: Message) {
        match message {
            Message::Update(update) => {
                let is_passed =
                    |older: &Update| older.lease == update.lease && older.preview.is_none();
                if !waiting.as_ref().is_none_or(is_passed) {
                    self.write(waiting.take()).await;
                }
                *waiting = Some(update);
            }
            Message::Begun(lease) => {
                self.write(waiting.take()).await;
                let begun = self.database.begin(&lease).await;
                self.unless_lost(&lease, begun);
            }
            Message::Anew(lease) => {
                self.write(waiting.take()).await;
                let dropped = self.database.drop_checkpoint(&lease, clock::now()).await;
                self.unless_lost(&lease, dropped);
            }
            Message::Mark(mark) => {
                self.write(waiting.take()).await;
                drop(mark);
            }
        }
    }

    /// A lease may have been lost, or its job canceled, between the claim and the engine.
    fn unless_lost(&self, lease: &Lease, holds: Result<bool, DatabaseError>) {
        match holds {
            Ok(true) => {}
            Ok(false) => self.running.lost(lease),
            Err(error) => {
                let job = &lease.job;
                tracing::warn!(
                    job,
                    error = chain(&error),
                    "a beginning was not written down"
                );
            }
        }
    }

    async fn write(&self, update: Option<Update>) {
        let Some(update) = &update else {
            return;
        };
        if let Err(error) = self.try_to_write(update).await {
            // The job's end is what counts, and is written by others with more patience.
            tracing::warn!(
                job = update.lease.job,
                error = chain(&error),
                "progress was not written down"
            );
        }
    }

    async fn try_to_write(&self, update: &Update) -> Result<(), DatabaseError> {
        let Update {
            lease,
            step,
            preview,
        } = update;
        let preview = preview
            .as_ref()
            .and_then(|preview| url(&lease.job, preview));
        let recorded = self
            .database
            .progress(lease, *step, preview.as_deref(), clock::now());
        if recorded.await? {
            self.changes.announce(&lease.job);
        } else if !self.database.holds(lease).await? {
            // Ended by somebody who could not reach the engine, or taken up by another.
            self.running.lost(lease);
        }
        Ok(())
    }
}

/// A preview as a `data:` URL. It is small: the time that it takes is a few milliseconds.
fn url(job: &str, Preview { picture, format }: &Preview) -> Option<String> {
    encode::preview(picture, *format)
        .inspect_err(|error| {
            tracing::warn!(job, error = chain(error), "a preview was left out");
        })
        .ok()
}
