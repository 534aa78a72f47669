//! How long a job waits before it is tried again.

use std::time::Duration;

/// The wait after the first try, on average.
const FIRST: Duration = Duration::from_secs(1);
/// No wait is longer, whatever the number of tries.
const LONGEST: Duration = Duration::from_secs(30);

/// The longest wait after a first try.
pub(super) const FIRST_AT_MOST: Duration = FIRST.saturating_mul(2);

/// Doubles with each of `attempts`; `chance` (0 to 1) moves it by half either way, so that jobs
/// that failed together are not tried together.
pub(super) fn pause(attempts: u32, chance: f64) -> Duration {
    let doubled = FIRST.saturating_mul(1 << attempts.saturating_sub(1).min(10));
    doubled.mul_f64(0.5 + chance).min(LONGEST)
}

/// [`pause`] as chance has it.
pub(super) fn some_pause(attempts: u32) -> Duration {
    // Without randomness there are worse troubles than jobs that are tried together.
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    pause(attempts, f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_differ() {
        for (attempts, from, to) in [(1, 500, 1500), (2, 1000, 3000), (3, 2000, 6000)] {
            assert_eq!(pause(attempts, 0.0), Duration::from_millis(from));
            assert_eq!(pause(attempts, 1.0), Duration::from_millis(to));
        }
        assert!(pause(1, 1.0) <= FIRST_AT_MOST);
        assert_eq!(pause(99, 1.0), LONGEST);
    }
}
