//! What the service counts and measures, for Prometheus.
//!
//! Each group is a file: [`JobMetrics`], [`UploadMetrics`], [`RequestMetrics`], [`WatchingMetrics`],
//! [`InvalidationMetrics`], [`TaskMetrics`]. Whoever sees
//! something happen says so in one call. What can only be looked up (the queue, memory) is looked up
//! when somebody asks: [`Metrics::text`].

mod invalidations;
mod jobs;
mod now;
mod requests;
mod tasks;
mod uploads;
mod watching;

use std::sync::Arc;

use prometheus_client::registry::Registry;

pub use invalidations::InvalidationMetrics;
pub use jobs::{JobMetrics, Stage};
pub use now::Now;
pub use requests::RequestMetrics;
pub use tasks::TaskMetrics;
pub use uploads::UploadMetrics;
pub use watching::WatchingMetrics;

/// The media type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything that one service counts. Clones share it.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Jobs and their stages.
    pub jobs: JobMetrics,
    /// Pictures on their way to the store.
    pub uploads: UploadMetrics,
    /// Requests of the edge.
    pub requests: RequestMetrics,
    /// Those who watch jobs.
    pub watching: WatchingMetrics,
    /// What the CDN is told.
    pub invalidations: InvalidationMetrics,
    /// Tasks of the service itself.
    pub tasks: TaskMetrics,
    now: Now,
    registry: Arc<Registry>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("darkroom");
        Self {
            jobs: JobMetrics::new(&mut registry),
            uploads: UploadMetrics::new(&mut registry),
            requests: RequestMetrics::new(&mut registry),
            watching: WatchingMetrics::new(&mut registry),
            invalidations: InvalidationMetrics::new(&mut registry),
            tasks: TaskMetrics::new(&mut registry),
            now: Now::new(&mut registry),
            registry: Arc::new(registry),
        }
    }
}

impl Metrics {
    /// What is only known when it is looked up, to be filled in before [`Self::text`].
    #[must_use]
    pub fn now(&self) -> &Now {
        &self.now
    }

    /// All of it in the `OpenMetrics` text format.
    ///
    /// # Errors
    /// A metric cannot be written, which none of ours does.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
