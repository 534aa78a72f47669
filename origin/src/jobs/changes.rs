//! "Look again": who follows a job waits here instead of asking the database over and over.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::time::timeout;

/// A watcher that falls further behind than this many changes looks again anyway.
const BACKLOG: usize = 256;
/// A watcher that hears nothing looks again after this: another machine may have changed the job,
/// and its word been lost.
const SILENCE: Duration = Duration::from_secs(3);

/// Says which job has changed, to whoever watches it.
#[derive(Clone, Debug)]
pub struct Changes {
    sender: broadcast::Sender<Arc<str>>,
}

/// Waits for changes of one job.
#[derive(Debug)]
pub struct Watch {
    job: Arc<str>,
    receiver: broadcast::Receiver<Arc<str>>,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            sender: broadcast::Sender::new(BACKLOG),
        }
    }
}

impl Changes {
    /// Says that a job has changed. Nobody listening is no error.
    pub fn announce(&self, job: &str) {
        if self.sender.receiver_count() > 0 {
            drop(self.sender.send(job.into()));
        }
    }

    /// Watches a job. Begin before reading its state, so that no change falls in between.
    #[must_use]
    pub fn watch(&self, job: &str) -> Watch {
        Watch {
            job: job.into(),
            receiver: self.sender.subscribe(),
        }
    }
}

impl Watch {
    /// Returns when the job may have changed.
    pub async fn changed(&mut self) {
        // Whichever it was, whoever watches looks again.
        drop(timeout(SILENCE, self.told()).await);
    }

    async fn told(&mut self) {
        loop {
            match self.receiver.recv().await {
                Ok(job) if job == self.job => return,
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(_)) => return,
                // The service is gone; whoever waits here is about to be dropped.
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}
