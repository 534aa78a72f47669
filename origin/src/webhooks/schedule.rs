//! When a delivery is tried again: ten attempts over about 75 hours.

use std::time::Duration;

use crate::database::Verdict;

const SECOND: u64 = 1;
const MINUTE: u64 = 60;
const HOUR: u64 = 3600;

/// Between one attempt and the next, on average.
const PAUSES: [Duration; 9] = [
    Duration::from_secs(5 * SECOND),
    Duration::from_secs(5 * MINUTE),
    Duration::from_secs(30 * MINUTE),
    Duration::from_secs(2 * HOUR),
    Duration::from_secs(5 * HOUR),
    Duration::from_secs(10 * HOUR),
    Duration::from_secs(14 * HOUR),
    Duration::from_secs(20 * HOUR),
    Duration::from_secs(24 * HOUR),
];

/// What follows from an attempt, the `attempts`th: `status` is the answer's, where there was one.
/// `chance` (0 to 1) moves the next by a tenth either way, so that a receiver that comes back is
/// not told everything at once.
pub(super) fn verdict(attempts: u32, status: Option<u16>, chance: f64) -> Verdict {
    match status {
        Some(200..=299) => return Verdict::Delivered,
        // Gone: the receiver wants no more of them.
        Some(410) => return Verdict::Disabled,
        _ => {}
    }
    let pause = PAUSES.get(attempts.saturating_sub(1) as usize);
    pause.map_or(Verdict::Failed, |pause| {
        Verdict::Again(pause.mul_f64(0.9 + 0.2 * chance))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_attempts_over_about_75_hours() {
        for chance in [0.0, 0.5, 1.0] {
            let pauses: Vec<_> = (1..10)
                .map(|attempts| match verdict(attempts, Some(500), chance) {
                    Verdict::Again(pause) => pause,
                    other => panic!("{other:?}"),
                })
                .collect();
            assert!(pauses.is_sorted());
            let hours = pauses.iter().sum::<Duration>().as_secs() / 3600;
            assert!((68..=84).contains(&hours), "{hours}");
            assert_eq!(verdict(10, Some(500), chance), Verdict::Failed);
        }
    }

    #[test]
    fn an_answer_decides() {
        for status in [200, 204, 299] {
            assert_eq!(verdict(10, Some(status), 0.0), Verdict::Delivered);
        }
        assert_eq!(verdict(1, Some(410), 0.0), Verdict::Disabled);
        let again = Verdict::Again(Duration::from_secs(5));
        for status in [None, Some(100), Some(302), Some(400), Some(404), Some(503)] {
            assert_eq!(verdict(1, status, 0.5), again, "{status:?}");
        }
    }
}
