//! How a service ends: first no new work, then no work at all.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

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

/// What comes round at intervals until the service stops.
#[derive(Debug)]
pub struct Rounds {
    interval: Interval,
    phases: watch::Receiver<Phase>,
}

impl Rounds {
    /// One at once, and another each `period`; late ones put off those after them.
    #[must_use]
    pub fn every(period: Duration, phases: watch::Receiver<Phase>) -> Self {
        let mut interval = interval(period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { interval, phases }
    }

    /// Waits for the next one; false where the service stops and there is none. It may be called
    /// off.
    pub async fn next(&mut self) -> bool {
        tokio::select! {
            _ = self.interval.tick() => true,
            () = Phase::reached(&mut self.phases, Phase::Stopping) => false,
        }
    }
}
