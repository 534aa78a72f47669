//! Holds on to the jobs at work here, and takes up those that others have let go of.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::claimer::IDLE_PAUSE;
use super::pause::{FIRST_AT_MOST, some_pause};
use super::{Changes, Phase, Rounds, Running};
use crate::cause::chain;
use crate::database::{Database, DatabaseError, LEASE};

/// How often leases are renewed, and looked for that have run out.
const BEAT: Duration = Duration::from_secs(4);

// A dead worker's job is taken up again within half a minute: the last renewal may have been just
// before its death, the next look just before the lease's end, and so on.
const _: () =
    assert!(LEASE.as_secs() + BEAT.as_secs() + FIRST_AT_MOST.as_secs() + IDLE_PAUSE.as_secs() < 30);
// One beat that is lost or late loses no job.
const _: () = assert!(LEASE.as_secs() > 3 * BEAT.as_secs());

/// Keeps leases alive as long as the process is.
#[derive(Debug)]
pub struct Heartbeat {
    /// Where leases are.
    pub database: Database,
    /// What is at work here.
    pub running: Running,
    /// Who watches.
    pub changes: Changes,
    /// Wakes the worker when a job is queued again.
    pub wake: Arc<Notify>,
}

impl Heartbeat {
    /// Beats until the process is about to end.
    pub async fn keep(self, phases: watch::Receiver<Phase>) {
        let mut rounds = Rounds::every(BEAT, phases);
        while rounds.next().await {
            // A connection that hangs is given up, so that the next beat takes another.
            match timeout(BEAT, self.beat()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(error = chain(&error), "leases were not renewed");
                }
                Err(_) => tracing::warn!("leases were not renewed in time"),
            }
        }
    }

    async fn beat(&self) -> Result<(), DatabaseError> {
        // In this order: after a long pause of the whole machine, one's own leases come first.
        let now = self.database.now().await?;
        for lost in self.database.renew(&self.running.leases(), now).await? {
            tracing::info!(job = lost.job, "the job is no longer this machine's");
            self.running.lost(&lost);
        }
        for job in self.database.expire(some_pause, now).await? {
            tracing::warn!(job, "whoever made the job has let go of it");
            self.changes.announce(&job);
            self.wake.notify_one();
        }
        Ok(())
    }
}
