//! How fast the engine is, measured, so that a caller can be told how long it will take.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The share of a new measurement in the running mean.
const WEIGHT: f64 = 0.1;

/// The mean time of one step of one pixel, over the steps seen so far, and what the engine takes for
/// a picture beside its steps (words, decoding), as its share of each of them.
///
/// The time of a step grows with the pixels; a little faster than that, but an estimate is all
/// that this is for.
#[derive(Debug, Default)]
pub struct Pace {
    step: Mean,
    rest: Mean,
}

impl Pace {
    /// Takes in the time of one step. One thread measures.
    pub fn measured(&self, step: Duration, pixels: u64) {
        self.step.take(step, pixels);
    }

    /// Takes in what a picture of so many `pixel_steps` (steps times pixels) took beside its steps.
    pub fn measured_rest(&self, rest: Duration, pixel_steps: u64) {
        self.rest.take(rest, pixel_steps);
    }

    /// Seconds that pictures of so many `pixel_steps` will take, to the tenth; `None` before the
    /// first measurement.
    #[must_use]
    pub fn estimate(&self, pixel_steps: u64) -> Option<f64> {
        self.estimate_left(pixel_steps, pixel_steps)
    }

    /// The same of pictures of which so many are `left`. What comes behind their steps is.
    #[must_use]
    pub fn estimate_left(&self, left: u64, pixel_steps: u64) -> Option<f64> {
        let rest = self.rest.get().unwrap_or_default() * pixel_steps as f64;
        let seconds = self.step.get()? * left as f64 + rest;
        Some((seconds * 10.0).round() / 10.0)
    }
}

/// A running mean.
#[derive(Debug, Default)]
struct Mean {
    /// Seconds as the bits of an `f64`; 0 until the first measurement.
    seconds: AtomicU64,
}

impl Mean {
    fn take(&self, time: Duration, of: u64) {
        let latest = time.as_secs_f64() / (of.max(1) as f64);
        let mean = self
            .get()
            .map_or(latest, |mean| mean + WEIGHT * (latest - mean));
        self.seconds.store(mean.to_bits(), Ordering::Relaxed);
    }

    fn get(&self) -> Option<f64> {
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

    #[test]
    fn what_comes_behind_the_last_step_is_still_to_come() {
        let pace = Pace::default();
        pace.measured(Duration::from_secs(1), 100);
        pace.measured_rest(Duration::from_secs(5), 1000);
        assert_eq!(pace.estimate(1000), Some(15.0));
        assert_eq!(pace.estimate_left(200, 1000), Some(7.0));
        assert_eq!(pace.estimate_left(0, 1000), Some(5.0));
    }
}
