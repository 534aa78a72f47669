//! Tasks of the service itself.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// What is counted of them.
#[derive(Clone, Debug)]
pub struct TaskMetrics(Family<[(&'static str, &'static str); 1], Counter>);

impl TaskMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let panics = Family::default();
        let help = "Tasks of the service that panicked, each of which ends it";
        registry.register("task_panics", help, panics.clone());
        Self(panics)
    }

    /// A task has panicked.
    pub fn panicked(&self, task: &'static str) {
        self.0.get_or_create(&[("task", task)]).inc();
    }
}
