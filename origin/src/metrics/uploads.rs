//! Pictures on their way to the store.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

/// What is counted of uploads.
#[derive(Clone, Debug)]
pub struct UploadMetrics {
    tries: Family<[(&'static str, &'static str); 1], Counter>,
    bytes: Counter,
}

impl UploadMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            tries: Family::default(),
            bytes: Counter::default(),
        };
        let tries = "Tries to store a picture, by what came of them";
        registry.register("uploads", tries, metrics.tries.clone());
        let bytes = "What was stored";
        registry.register_with_unit("uploaded", bytes, Unit::Bytes, metrics.bytes.clone());
        metrics
    }

    /// The store has taken a picture of so many bytes.
    pub fn stored(&self, bytes: u64) {
        self.tries.get_or_create(&[("result", "stored")]).inc();
        self.bytes.inc_by(bytes);
    }

    /// The store has not taken a picture, which is to be offered again.
    pub fn retried(&self) {
        self.tries.get_or_create(&[("result", "retried")]).inc();
    }

    /// The store will not take a picture.
    pub fn refused(&self) {
        self.tries.get_or_create(&[("result", "refused")]).inc();
    }
}
