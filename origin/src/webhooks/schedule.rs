//! When a delivery is tried again: ten attempts over about 75 hours.

use std::time::Duration;

use crate::database::Verdict;
use crate::outbound::Posted;

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

/// The longest that a receiver is waited for by its own word.
const LONGEST: Duration = Duration::from_secs(24 * HOUR);

/// What follows from an attempt, the `attempts`th, by its answer, where there was one. `chance` (0
/// to 1) moves the next by a tenth either way, so that a receiver that comes back is not told
/// everything at once. A receiver that has too much to do (429, 503) and says for how long is not
/// tried before; nor sooner than any other, or its attempts would soon be over.
pub(super) fn verdict(attempts: u32, answer: Option<Posted>, chance: f64) -> Verdict {
    match answer.map(|answer| answer.status) {
        Some(200..=299) => return Verdict::Delivered,
        // Gone: the receiver wants no more of them.
        Some(410) => return Verdict::Disabled,
        _ => {}
    }
    let pause = PAUSES.get(attempts.saturating_sub(1) as usize);
    let Some(pause) = pause else {
        return Verdict::Failed;
    };
    let pause = pause.mul_f64(0.9 + 0.2 * chance);
    match answer {
        Some(Posted {
            status: 429 | 503,
            retry_after: Some(asked),
        }) => Verdict::Later(pause.max(asked.min(LONGEST).mul_f64(1.0 + 0.1 * chance))),
        _ => Verdict::Again(pause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn answered(status: u16) -> Posted {
        let retry_after = None;
        Posted {
            status,
            retry_after,
        }
    }

    #[test]
    fn ten_attempts_over_about_75_hours() {
        for chance in [0.0, 0.5, 1.0] {
            let pauses: Vec<_> = (1..10)
                .map(
                    |attempts| match verdict(attempts, Some(answered(500)), chance) {
                        Verdict::Again(pause) => pause,
                        other => panic!("{other:?}"),
                    },
                )
                .collect();
            assert!(pauses.is_sorted());
            let hours = pauses.iter().sum::<Duration>().as_secs() / 3600;
            assert!((68..=84).contains(&hours), "{hours}");
            assert_eq!(verdict(10, Some(answered(500)), chance), Verdict::Failed);
        }
    }

    #[test]
    fn an_answer_decides() {
        for status in [200, 204, 299] {
            assert_eq!(verdict(10, Some(answered(status)), 0.0), Verdict::Delivered);
        }
        assert_eq!(verdict(1, Some(answered(410)), 0.0), Verdict::Disabled);
        let again = Verdict::Again(Duration::from_secs(5));
        for status in [None, Some(100), Some(302), Some(400), Some(404), Some(503)] {
            assert_eq!(verdict(1, status.map(answered), 0.5), again, "{status:?}");
        }
    }

    #[test]
    fn a_receiver_says_when_within_bounds() {
        let asks = |status, seconds| {
            let retry_after = Some(Duration::from_secs(seconds));
            Some(Posted {
                status,
                retry_after,
            })
        };
        let later = |seconds| Verdict::Later(Duration::from_secs(seconds));
        for status in [429, 503] {
            assert_eq!(verdict(1, asks(status, 120), 0.0), later(120));
            assert_eq!(verdict(1, asks(status, 120), 1.0), later(132));
            assert_eq!(verdict(1, asks(status, 10_000_000), 0.0), later(24 * HOUR));
            assert_eq!(verdict(1, asks(status, 0), 0.5), later(5));
            assert_eq!(verdict(10, asks(status, 1), 0.5), Verdict::Failed);
        }
        let again = Verdict::Again(Duration::from_secs(5));
        assert_eq!(verdict(1, asks(500, 120), 0.5), again);
        assert_eq!(verdict(1, asks(200, 120), 0.5), Verdict::Delivered);
    }
}
