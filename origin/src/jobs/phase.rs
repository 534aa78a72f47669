//! How a service ends: first no new work, then no work at all.

use tokio::sync::watch;

/// Where a service stands between its start and its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Jobs are accepted and made.
    #[default]
    Serving,
    /// What runs may finish; nothing new begins.
    Draining,
    /// What still runs stops at its next step.
    Stopping,
}

impl Phase {
    /// Returns once `phases` has come to `phase` or beyond.
    pub async fn reached(phases: &mut watch::Receiver<Self>, phase: Self) {
        // An error means that the sender is gone, and with it the service.
        drop(phases.wait_for(|now| *now >= phase).await);
    }
}
