//! What is looked up when somebody asks: the queue, the process's memory, whether all is well.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::database::QueueDepth;

/// What holds at the moment.
#[derive(Clone, Debug)]
pub struct Now {
    jobs: Family<[(&'static str, &'static str); 1], Gauge>,
    oldest: Gauge<f64, AtomicU64>,
    memory: Gauge,
    database: Gauge,
}

impl Now {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let now = Self {
            jobs: Family::default(),
            oldest: Gauge::default(),
            memory: Gauge::default(),
            database: Gauge::default(),
        };
        let jobs = "Unfinished jobs of all machines that share the database, by status";
        registry.register("jobs", jobs, now.jobs.clone());
        let oldest = "Age of the job that has waited longest";
        let oldest_clone = now.oldest.clone();
        registry.register_with_unit("queue_oldest_job", oldest, Unit::Seconds, oldest_clone);
        let memory = "Resident memory of the process";
        registry.register_with_unit("memory", memory, Unit::Bytes, now.memory.clone());
        let database = "Whether the database answered when this was asked for";
        registry.register("database_up", database, now.database.clone());
        now
    }

    /// Takes in how the queue is; `None` where the database does not answer, which leaves what it
    /// said last.
    pub fn queue(&self, depth: Option<&QueueDepth>) {
        self.database.set(depth.is_some().into());
        let Some(depth) = depth else { return };
        let set = |status, jobs| self.jobs.get_or_create(&[("status", status)]).set(jobs);
        set("queued", depth.queued);
        set("running", depth.running);
        self.oldest.set(depth.oldest_wait.as_secs_f64());
    }

    /// Looks up the memory, where the system says it.
    pub fn memory(&self) {
        if let Some(stats) = memory_stats::memory_stats() {
            self.memory.set(stats.physical_mem as i64);
        }
    }
}
