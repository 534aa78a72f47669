//! The flag of each job at work, by which whoever cancels it reaches whoever makes it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// The jobs at work in this process.
#[derive(Clone, Debug, Default)]
pub struct Running {
    flags: Arc<Mutex<HashMap<String, watch::Sender<bool>>>>,
}

/// A job at work. Its last clone ends its place in [`Running`].
#[derive(Clone, Debug)]
pub struct AtWork {
    ended: watch::Receiver<bool>,
    _place: Arc<Place>,
}

#[derive(Debug)]
struct Place {
    job: String,
    running: Running,
}

impl Running {
    /// Takes a job up.
    #[must_use]
    pub fn begin(&self, job: &str) -> AtWork {
        let (sender, ended) = watch::channel(false);
        self.flags().insert(job.to_owned(), sender);
        AtWork {
            ended,
            _place: Arc::new(Place {
                job: job.to_owned(),
                running: self.clone(),
            }),
        }
    }

    /// Tells whoever works on a job that it has ended; nobody may be.
    pub fn end(&self, job: &str) {
        if let Some(flag) = self.flags().get(job) {
            flag.send_replace(true);
        }
    }

    /// The map holds no invariant that a panic elsewhere could have broken.
    fn flags(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<bool>>> {
        self.flags.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AtWork {
    /// Whether the job has ended, so that more work on it would be for nothing.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// Returns when the job has ended.
    pub async fn ended(&mut self) {
        // The sender lives as long as the place, which this holds.
        drop(self.ended.wait_for(|ended| *ended).await);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.running.flags().remove(&self.job);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_lasts_as_long_as_the_work() {
        let running = Running::default();
        let work = running.begin("a");
        let clone = work.clone();
        running.end("b");
        assert!(!work.has_ended());
        drop(work);
        running.end("a");
        assert!(clone.has_ended());
        drop(clone);
        assert!(running.flags().is_empty());
    }
}
