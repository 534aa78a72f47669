//! What the CDN is told to forget.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// What is counted of it.
#[derive(Clone, Debug)]
pub struct InvalidationMetrics {
    calls: Family<[(&'static str, &'static str); 1], Counter>,
    paths: Counter,
}

impl InvalidationMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let (calls, paths) = (Family::default(), Counter::default());
        let help = "Calls that tell the CDN what to forget, by what came of them";
        registry.register("invalidations", help, calls.clone());
        let help = "Paths that the CDN was told to forget: what it charges for";
        registry.register("invalidated_paths", help, paths.clone());
        Self { calls, paths }
    }

    /// The CDN has heard of so many paths.
    pub fn told(&self, paths: usize) {
        self.calls.get_or_create(&[("result", "told")]).inc();
        self.paths.inc_by(paths as u64);
    }

    /// The CDN did not listen, and is told again.
    pub fn failed(&self) {
        self.calls.get_or_create(&[("result", "failed")]).inc();
    }
}
