//! How fast the engine is, measured, so that a caller can be told how long it will take.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The share of a new measurement in the running mean.
const WEIGHT: f64 = 0.1;

/// The mean time of one step of one pixel, over the steps seen so far.
///
/// The time of a step grows with the pixels; a little faster than that, but an estimate is all
/// that this is for.
#[derive(Debug, Default)]
pub struct Pace {
    /// Seconds as the bits of an `f64`; 0 until the first measurement.
    seconds: AtomicU64,
}

impl Pace {
    /// Takes in the time of one step. One thread measures.
    pub fn measured(&self, step: Duration, pixels: u64) {
        let latest = step.as_secs_f64() / (pixels.max(1) as f64);
        let mean = self
            .seconds_per_pixel()
            .map_or(latest, |mean| mean + WEIGHT * (latest - mean));
        self.seconds.store(mean.to_bits(), Ordering::Relaxed);
    }

    /// Seconds that `pixel_steps` (steps times pixels) will take, to the tenth; `None` before
    /// the first measurement.
    #[must_use]
    pub fn estimate(&self, pixel_steps: u64) -> Option<f64> {
        let seconds = self.seconds_per_pixel()? * pixel_steps as f64;
        Some((seconds * 10.0).round() / 10.0)
    }

    fn seconds_per_pixel(&self) -> Option<f64> {
        let mean = f64::from_bits(self.seconds.load(Ordering::Relaxed));
        (mean > 0.0).then_some(mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_follow_the_measured_pace() {
        let pace = Pace::default();
        assert_eq!(pace.estimate(100), None);
        pace.measured(Duration::from_secs(1), 100);
        assert_eq!(pace.estimate(250), Some(2.5));
        for _ in 0..200 {
            pace.measured(Duration::from_secs(2), 100);
        }
        assert_eq!(pace.estimate(100), Some(2.0));
    }
}
