//! How long a signature is good for.

/// In seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Where nobody says.
    pub default: u64,
    /// The longest that may be asked for.
    pub most: u64,
    /// Ends are rounded up to multiples of this, so that a picture's URL stays the same for as
    /// long, and browsers find it in their cache.
    pub window: u64,
}

impl Lifetimes {
    /// The end of a signature that is to be good for so many seconds from a moment on. It comes
    /// up to a window later, but never by more than a quarter of what was asked for: who wants a
    /// minute does not get an hour.
    #[must_use]
    pub fn end(&self, from: i64, seconds: u64) -> i64 {
        let step = self.window.min(seconds / 4).max(1);
        let end = u64::try_from(from).unwrap_or(0).saturating_add(seconds);
        i64::try_from(end.div_ceil(step).saturating_mul(step)).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIFETIMES: Lifetimes = Lifetimes {
        default: 3600,
        most: 604_800,
        window: 900,
    };

    #[test]
    fn an_end_is_the_same_for_a_window() {
        let begin = 1_700_000_101;
        let end = LIFETIMES.end(begin, 3600);
        assert_eq!((end, end % 900), (1_700_004_600, 0));
        assert_eq!(LIFETIMES.end(begin + 899, 3600), end);
        assert_eq!(LIFETIMES.end(begin + 900, 3600), end + 900);
        assert_eq!(LIFETIMES.end(7, 1), 8);
    }

    proptest! {
        #[test]
        fn an_end_is_at_most_a_quarter_late(
            from in 0_i64..1 << 40, seconds in 1_u64..1 << 40, window in 1_u64..100_000,
        ) {
            let lifetimes = Lifetimes { window, ..LIFETIMES };
            let lasts = (lifetimes.end(from, seconds) - from) as u64;
            prop_assert!(lasts >= seconds && lasts - seconds <= window.min(seconds / 4));
        }

        #[test]
        fn no_moment_makes_it_panic(from: i64, seconds: u64) {
            prop_assert!(LIFETIMES.end(from, seconds) >= 0);
        }
    }
}
