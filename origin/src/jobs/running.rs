//! The flag of each lease at work, by which whoever ends a job reaches whoever makes it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::database::Lease;

/// The jobs at work in this process.
#[derive(Clone, Debug, Default)]
pub struct Running {
    flags: Arc<Mutex<HashMap<Lease, watch::Sender<bool>>>>,
}

/// A job at work. Its last clone ends its place in [`Running`].
#[derive(Clone, Debug)]
pub struct AtWork {
    ended: watch::Receiver<bool>,
    _place: Arc<Place>,
}

#[derive(Debug)]
struct Place {
    lease: Lease,
    running: Running,
}

impl Running {
    /// Takes a job up.
    #[must_use]
    pub fn begin(&self, lease: &Lease) -> AtWork {
        let (sender, ended) = watch::channel(false);
        self.flags().insert(lease.clone(), sender);
        AtWork {
            ended,
            _place: Arc::new(Place {
                lease: lease.clone(),
                running: self.clone(),
            }),
        }
    }

    /// Tells whoever works on a job that it has ended; nobody may be.
    pub fn end(&self, job: &str) {
        for (lease, flag) in self.flags().iter() {
            if lease.job == job {
                flag.send_replace(true);
            }
        }
    }

    /// Tells whoever works on a job by this lease that it no longer holds.
    pub fn lost(&self, lease: &Lease) {
        if let Some(flag) = self.flags().get(lease) {
            flag.send_replace(true);
        }
    }

    /// By which leases work goes on.
    #[must_use]
    pub fn leases(&self) -> Vec<Lease> {
        let flags = self.flags();
        let at_work = flags.iter().filter(|(_, ended)| !*ended.borrow());
        at_work.map(|(lease, _)| lease.clone()).collect()
    }

    /// The map holds no invariant that a panic elsewhere could have broken.
    fn flags(&self) -> MutexGuard<'_, HashMap<Lease, watch::Sender<bool>>> {
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
        self.running.flags().remove(&self.lease);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_lasts_as_long_as_the_work() {
        let running = Running::default();
        let [first, second] = [1, 2].map(|token| Lease {
            job: "a".to_owned(),
            token,
        });
        let work = running.begin(&first);
        let clone = work.clone();
        running.end("b");
        running.lost(&second);
        assert!(!work.has_ended());
        drop(work);
        // The job is taken up once more while its first pictures are still on their way.
        let again = running.begin(&second);
        running.lost(&first);
        assert!(clone.has_ended() && !again.has_ended());
        assert_eq!(running.leases(), [second]);
        drop(clone);
        running.end("a");
        assert!(again.has_ended());
        drop(again);
        assert!(running.flags().is_empty());
    }
}
