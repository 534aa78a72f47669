//! When a run is saved on its way, and the way of what is saved into the database: beside the
//! engine, which only reads its state.

use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::cause::chain;
use crate::database::{Checkpoint, Database, Lease};
use crate::engine::Step;
use crate::metrics::JobMetrics;
use crate::vital::Vital;

/// Reading a state may take a two-hundredth of the time that it saves: where it takes long, it is
/// done more rarely.
const WORTH: u32 = 200;
/// What a process that is told to stop waits at most for its last one.
const LAST: Duration = Duration::from_secs(5);

/// Saves runs.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    database: Database,
    metrics: JobMetrics,
    /// How much work may be lost; `None` where only a process that stops in order saves.
    every: Option<Duration>,
    /// Holds one: while that waits, no other state is read.
    sender: mpsc::Sender<(Lease, Checkpoint)>,
}

/// Saves one picture's run.
#[derive(Debug)]
pub struct Saver<'a> {
    checkpoints: &'a Checkpoints,
    lease: &'a Lease,
    image: &'a str,
    /// The engine's; `None` where its runs cannot be gone on with.
    numbers: Option<&'a str>,
    last: Instant,
    cost: Duration,
}

impl Checkpoints {
    /// Starts the task that writes; it ends with the last clone of what is returned.
    #[must_use]
    pub fn start(
        database: Database,
        metrics: JobMetrics,
        every: Option<Duration>,
        vital: &Vital,
    ) -> Self {
        let (sender, mut receiver) = mpsc::channel::<(Lease, Checkpoint)>(1);
        let checkpoints = Self {
            database: database.clone(),
            metrics: metrics.clone(),
            every,
            sender,
        };
        vital.spawn("checkpoints", async move {
            while let Some((lease, checkpoint)) = receiver.recv().await {
                keep(&database, &metrics, &lease, &checkpoint).await;
            }
        });
        checkpoints
    }

    /// Begins with a picture.
    #[must_use]
    pub fn of<'a>(
        &'a self,
        lease: &'a Lease,
        image: &'a str,
        numbers: Option<&'a str>,
    ) -> Saver<'a> {
        Saver {
            checkpoints: self,
            lease,
            image,
            numbers,
            last: Instant::now(),
            cost: Duration::ZERO,
        }
    }

    /// A run could be gone on with, or could not.
    pub fn resumed(&self, was: bool) {
        self.metrics
            .checkpoint(if was { "resumed" } else { "refused" });
    }
}

async fn keep(database: &Database, metrics: &JobMetrics, lease: &Lease, checkpoint: &Checkpoint) {
    let job = &lease.job;
    match database.keep_checkpoint(lease, checkpoint).await {
        Ok(true) => metrics.checkpoint("saved"),
        Ok(false) => {}
        // More work is lost should the process die, and no more than that.
        Err(error) => tracing::warn!(job, error = chain(&error), "a run was not saved"),
    }
}

impl Saver<'_> {
    /// Saves the run where it is time; `done` is over all of the job's images.
    pub fn stepped(&mut self, step: &Step<'_>, done: u32) {
        if !is_due(self.checkpoints.every, self.cost, self.last.elapsed()) {
            return;
        }
        // The one before may still be on its way.
        let Ok(room) = self.checkpoints.sender.try_reserve() else {
            return;
        };
        let begun = Instant::now();
        if let Some(checkpoint) = self.read(step, done) {
            room.send((self.lease.clone(), checkpoint));
        }
        self.last = Instant::now();
        self.cost = self.last.duration_since(begun);
    }

    /// Saves the run before the process ends, and waits until that is written.
    pub fn stopped(&self, step: &Step<'_>, done: u32, runtime: &Handle) {
        let Some(checkpoint) = self.read(step, done) else {
            return;
        };
        let Checkpoints {
            database, metrics, ..
        } = self.checkpoints;
        let kept = async { timeout(LAST, keep(database, metrics, self.lease, &checkpoint)).await };
        if runtime.block_on(kept).is_err() {
            tracing::warn!(job = self.lease.job, "a run was not saved in time");
        }
    }

    fn read(&self, step: &Step<'_>, done: u32) -> Option<Checkpoint> {
        let numbers = self.numbers?;
        match (step.state)() {
            Ok(state) => Some(Checkpoint {
                image: self.image.to_owned(),
                step: done,
                numbers: numbers.to_owned(),
                state,
            }),
            Err(error) => {
                tracing::warn!(
                    job = self.lease.job,
                    error = chain(&error),
                    "a run was not saved"
                );
                None
            }
        }
    }
}

/// Whether as much work has been done since the last time as is worth the `cost` of saving it. Who
/// saves each step does so at any cost.
fn is_due(every: Option<Duration>, cost: Duration, since: Duration) -> bool {
    every.is_some_and(|every| every.is_zero() || since >= every.max(cost * WORTH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_saved_as_often_as_it_is_told_and_worth_it() {
        let [second, minute] = [1, 60].map(Duration::from_secs);
        let [cheap, less] = [1, 999].map(Duration::from_millis);
        assert!(is_due(Some(second), cheap, second));
        assert!(!is_due(Some(second), cheap, less));
        assert!(!is_due(Some(second), second, minute));
        assert!(is_due(Some(second), second, 4 * minute));
        assert!(is_due(Some(Duration::ZERO), second, cheap));
        assert!(!is_due(None, cheap, minute));
    }
}
