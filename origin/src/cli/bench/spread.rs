//! What many measurements of one thing come to.

use std::time::Duration;

use serde_json::{Value, json};

/// The middle one and the two ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// Half are at most this long; of an even number, the mean of the two in the middle.
    pub median: Duration,
    /// The shortest.
    pub min: Duration,
    /// The longest.
    pub max: Duration,
}

impl Spread {
    /// Of nothing it is nothing.
    pub fn of(times: impl IntoIterator<Item = Duration>) -> Self {
        let mut times: Vec<Duration> = times.into_iter().collect();
        times.sort_unstable();
        let middle = times.len() / 2;
        let upper = times.get(middle).copied().unwrap_or_default();
        let lower = match times.len() % 2 {
            0 => times.get(middle.saturating_sub(1)).copied(),
            _ => None,
        };
        Self {
            median: lower.map_or(upper, |lower| (lower + upper) / 2),
            min: times.first().copied().unwrap_or_default(),
            max: times.last().copied().unwrap_or_default(),
        }
    }

    /// In seconds.
    pub fn json(self) -> Value {
        json!({
            "median_seconds": self.median.as_secs_f64(),
            "min_seconds": self.min.as_secs_f64(),
            "max_seconds": self.max.as_secs_f64(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn median(seconds: &[u64]) -> u128 {
        let times = seconds.iter().map(|seconds| Duration::from_secs(*seconds));
        Spread::of(times).median.as_millis()
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), 0);
        assert_eq!(median(&[5]), 5_000);
        assert_eq!(median(&[9, 4]), 6_500);
        assert_eq!(median(&[3, 100, 1]), 3_000);
        assert_eq!(median(&[4, 1, 100, 3]), 3_500);
    }

    #[test]
    fn the_ends_are_the_shortest_and_the_longest() {
        let times = [3, 1, 2].map(Duration::from_secs);
        let spread = Spread::of(times);
        assert_eq!((spread.min.as_secs(), spread.max.as_secs()), (1, 3));
    }
}
