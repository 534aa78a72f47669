//! Tasks that a service cannot do without. One that panics would be gone without a word: leases would
//! run out, or pictures pile up, while all else looks well.
//!
//! It is not begun again, since nobody knows how far it had come, and a panic is a mistake in the
//! program. The service ends as it does when its engine breaks, and whoever runs it starts another:
//! that way is tested, and loses nothing.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::metrics::TaskMetrics;

/// Watches over tasks. Clones watch together.
#[derive(Clone, Debug)]
pub struct Vital {
    panicked: Arc<watch::Sender<Option<&'static str>>>,
    metrics: TaskMetrics,
}

impl Vital {
    /// Counts panics with `metrics`.
    #[must_use]
    pub fn new(metrics: TaskMetrics) -> Self {
        Self {
            panicked: Arc::default(),
            metrics,
        }
    }

    /// Begins a task, which ends by itself when it is time.
    pub fn spawn(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        let vital = self.clone();
        tokio::spawn(async move {
            // Nobody looks at what a panic left behind.
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                tracing::error!(task = name, "a task panicked: the service cannot go on");
                vital.metrics.panicked(name);
                vital.panicked.send_replace(Some(name));
            }
        })
    }

    /// Whether all go on, or have ended as they should.
    #[must_use]
    pub fn are_well(&self) -> bool {
        self.panicked.borrow().is_none()
    }

    /// Returns the name of a task that panicked, when one has.
    pub async fn panicked(&self) -> &'static str {
        let mut panicked = self.panicked.subscribe();
        loop {
            if let Some(name) = *panicked.borrow_and_update() {
                return name;
            }
            // The sender is in `self`.
            drop(panicked.changed().await);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[tokio::test]
    async fn a_panic_is_told_and_counted_and_an_end_is_not() {
        let metrics = Metrics::default();
        let vital = Vital::new(metrics.tasks.clone());
        vital.spawn("ends", async {}).await.expect("no panic");
        assert!(vital.are_well());
        let task = vital.spawn("breaks", async { panic!("for a test") });
        assert_eq!(vital.panicked().await, "breaks");
        task.await.expect("caught");
        assert!(!vital.are_well());
        let text = metrics.text().expect("text");
        let line = r#"darkroom_task_panics_total{task="breaks"} 1"#;
        assert!(text.contains(line), "{text}");
    }
}
