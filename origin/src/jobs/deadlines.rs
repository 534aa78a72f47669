//! Ends jobs that come too late, whether they wait or are being made.

use std::sync::Arc;
use std::time::Duration;

use darkroom_shared::job::Status;
use darkroom_shared::problem::Code;
use tokio::sync::{Notify, watch};

use super::{Changes, Phase, Rounds, Running};
use crate::cause::chain;
use crate::database::{Database, DatabaseError};
use crate::metrics::JobMetrics;

/// How often is looked: a deadline is in whole seconds.
const LOOK: Duration = Duration::from_secs(1);

/// Watches over deadlines.
#[derive(Debug)]
pub struct Deadlines {
    /// Where they are.
    pub database: Database,
    /// Who works.
    pub running: Running,
    /// Who watches.
    pub changes: Changes,
    /// What counts them.
    pub metrics: JobMetrics,
    /// Wakes the worker: an account may have had no other job at work.
    pub wake: Arc<Notify>,
}

impl Deadlines {
    /// Watches until the process is about to end.
    pub async fn keep(self, phases: watch::Receiver<Phase>) {
        let mut rounds = Rounds::every(LOOK, phases);
        while rounds.next().await {
            if let Err(error) = self.look().await {
                tracing::warn!(error = chain(&error), "deadlines were not looked at");
            }
        }
    }

    async fn look(&self) -> Result<(), DatabaseError> {
        let now = self.database.now().await?;
        for job in self.database.end_overdue(now).await? {
            tracing::info!(job, "the job has missed its deadline");
            let code = Some(Code::DeadlineMissed);
            self.metrics.ended(Status::Failed, code);
            self.running.end(&job);
            self.changes.announce(&job);
            self.wake.notify_one();
        }
        Ok(())
    }
}
