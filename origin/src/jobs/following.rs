//! Hears what other machines do with jobs, and tells those here whom it concerns.

use std::sync::Arc;
use std::time::Duration;

use darkroom_shared::job::Status;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use super::{Changes, Phase, Running};
use crate::cause::chain;
use crate::database::{Database, DatabaseError};

/// Before listening to a database again that has just failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Follows what happens to jobs on other machines.
#[derive(Debug)]
pub struct Following {
    /// What tells.
    pub database: Database,
    /// Who works.
    pub running: Running,
    /// Who watches.
    pub changes: Changes,
    /// Wakes the worker when a job is queued, or may be taken up now.
    pub wake: Arc<Notify>,
}

impl Following {
    /// Follows until the process is about to end. Whatever is missed, the worker, the heartbeat
    /// and those who watch find out by asking, a little later.
    pub async fn keep(self, mut phases: watch::Receiver<Phase>) {
        tokio::select! {
            () = self.listen() => {}
            () = Phase::reached(&mut phases, Phase::Stopping) => {}
        }
    }

    /// Returns where nobody shares the database.
    async fn listen(&self) {
        loop {
            match self.hear().await {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(error = chain(&error), "other machines are not heard");
                }
            }
            sleep(PAUSE).await;
        }
    }

    async fn hear(&self) -> Result<(), DatabaseError> {
        let Some(mut notices) = self.database.listen().await? else {
            return Ok(());
        };
        loop {
            let notice = notices.next().await?;
            match notice.status {
                Some(Status::Queued) => self.wake.notify_one(),
                Some(status) if status.is_final() => {
                    self.running.end(&notice.job);
                    // Its account may have had no other at work.
                    self.wake.notify_one();
                }
                _ => {}
            }
            self.changes.announce(&notice.job);
        }
    }
}
