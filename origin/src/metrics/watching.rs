//! Those who watch jobs.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What is counted of those who watch jobs' events.
#[derive(Clone, Debug)]
pub struct WatchingMetrics {
    jobs: Gauge,
    reads: Counter,
}

impl WatchingMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            jobs: Gauge::default(),
            reads: Counter::default(),
        };
        let jobs = "Jobs whose events are watched, of each account that watches them";
        registry.register("watched_jobs", jobs, metrics.jobs.clone());
        let reads = "Times that a job's new events were read for those who watch it";
        registry.register("event_reads", reads, metrics.reads.clone());
        metrics
    }

    /// A job is watched by an account that has not watched it so far.
    pub fn begun(&self) {
        self.jobs.inc();
    }

    /// Nobody of an account watches a job any more.
    pub fn ended(&self) {
        self.jobs.dec();
    }

    /// Events were looked for.
    pub fn read(&self) {
        self.reads.inc();
    }
}
