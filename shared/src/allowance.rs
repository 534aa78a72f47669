//! How much a key may use up: requests a minute, images a day.
//!
//! Both are counted in windows of the clock (UTC), so that everybody can tell when the next one
//! begins. What is counted is told in the headers of the IETF's draft
//! (draft-ietf-httpapi-ratelimit-headers-10).

use serde::{Deserialize, Serialize};

use crate::timestamp::UnixMillis;

/// What one key is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// Requests a minute.
    pub requests: Quota,
    /// Images a day. One that could not be made does not count.
    pub images: Quota,
}

impl Allowance {
    /// So many requests a minute, so many images a day.
    #[must_use]
    pub const fn new(rate_per_minute: u32, daily_images: u32) -> Self {
        Self {
            requests: Quota {
                limit: rate_per_minute,
                window_seconds: 60,
            },
            images: Quota {
                limit: daily_images,
                window_seconds: 86_400,
            },
        }
    }

    /// The value of `RateLimit-Policy`.
    #[must_use]
    pub fn policy_header(&self) -> String {
        let requests = self.requests.policy_item("requests");
        let images = self.images.policy_item("images");
        format!("{requests}, {images}")
    }
}

/// So many of something in each window of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// The most in one window.
    pub limit: u32,
    /// How long a window is.
    pub window_seconds: u32,
}

/// How much was used in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Which window: counted from 1970 on.
    pub window: i64,
    /// How much of it.
    pub count: u32,
}

/// What is left in the present window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// How much.
    pub remaining: u32,
    /// Seconds until the next window, at least 1.
    pub resets_in: u32,
}

impl Quota {
    /// What `RateLimit-Policy` says of it.
    #[must_use]
    pub fn policy_item(self, name: &str) -> String {
        let Self {
            limit,
            window_seconds,
        } = self;
        format!("\"{name}\";q={limit};w={window_seconds}")
    }

    /// The window of a moment.
    #[must_use]
    pub const fn window(self, now: UnixMillis) -> i64 {
        now.div_euclid(self.millis())
    }

    /// Takes `amount`; nothing is taken where less is left.
    #[must_use]
    pub fn take(self, used: Used, amount: u32, now: UnixMillis) -> Option<Used> {
        let used = self.present(used, now);
        let count = used.count.checked_add(amount)?;
        (count <= self.limit).then_some(Used { count, ..used })
    }

    /// What is left.
    #[must_use]
    pub fn left(self, used: Used, now: UnixMillis) -> Left {
        let used = self.present(used, now);
        let end = (used.window + 1) * self.millis();
        Left {
            // A limit may have been lowered since.
            remaining: self.limit.saturating_sub(used.count),
            resets_in: ((end - now + 999) / 1000).max(1) as u32,
        }
    }

    /// What was used in an earlier window says nothing of this one.
    fn present(self, used: Used, now: UnixMillis) -> Used {
        let window = self.window(now);
        if used.window == window {
            used
        } else {
            Used { window, count: 0 }
        }
    }

    const fn millis(self) -> i64 {
        // A window of no length would be divided by.
        let seconds = if self.window_seconds == 0 {
            1
        } else {
            self.window_seconds
        };
        seconds as i64 * 1000
    }
}

impl Left {
    /// What `RateLimit` says of it.
    #[must_use]
    pub fn item(self, name: &str) -> String {
        let Self {
            remaining,
            resets_in,
        } = self;
        format!("\"{name}\";r={remaining};t={resets_in}")
    }
}

impl Used {
    /// Gives back what was taken in `window`. Of an earlier one there is nothing to give back to.
    #[must_use]
    pub const fn give_back(self, window: i64, amount: u32) -> Self {
        if self.window == window {
            Self {
                count: self.count.saturating_sub(amount),
                ..self
            }
        } else {
            self
        }
    }

    /// Takes again what was given back of `window` too soon, whatever the limit: it was used. Of
    /// an earlier one nobody asks any more.
    #[must_use]
    pub const fn take_again(self, window: i64, amount: u32) -> Self {
        if self.window == window {
            Self {
                count: self.count.saturating_add(amount),
                ..self
            }
        } else {
            self
        }
    }
}

/// The value of `RateLimit`.
#[must_use]
pub fn left_header(requests: Left, images: Left) -> String {
    format!("{}, {}", requests.item("requests"), images.item("images"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const THREE: Quota = Quota {
        limit: 3,
        window_seconds: 60,
    };

    #[test]
    fn a_window_gives_its_limit_and_the_next_begins_anew() {
        let used = THREE.take(Used::default(), 2, 1_000).expect("2 of 3");
        assert_eq!(THREE.take(used, 2, 2_000), None);
        let used = THREE.take(used, 1, 59_999).expect("3 of 3");
        assert_eq!(
            THREE.left(used, 59_999),
            Left {
                remaining: 0,
                resets_in: 1
            }
        );
        assert_eq!(THREE.take(used, 1, 59_999), None);
        let used = THREE.take(used, 3, 60_000).expect("the next minute");
        assert_eq!(
            used,
            Used {
                window: 1,
                count: 3
            }
        );
        assert_eq!(THREE.left(used, 60_000).resets_in, 60);
    }

    #[test]
    fn what_is_given_back_can_be_taken_again_in_its_own_window_only() {
        let used = THREE.take(Used::default(), 3, 0).expect("3 of 3");
        let back = used.give_back(THREE.window(0), 2);
        assert_eq!(back.count, 1);
        assert_eq!(back.give_back(7, 1), back);
        assert_eq!(back.give_back(0, 9).count, 0);
    }

    #[test]
    fn what_was_given_back_too_soon_is_taken_again_beyond_the_limit() {
        let used = THREE.take(Used::default(), 3, 0).expect("3 of 3");
        let again = used.take_again(THREE.window(0), 2);
        assert_eq!(again.count, 5);
        assert_eq!(THREE.left(again, 0).remaining, 0);
        assert_eq!(again.take_again(7, 1), again);
    }

    #[test]
    fn headers_name_both() {
        let allowance = Allowance::new(60, 1000);
        assert_eq!(
            allowance.policy_header(),
            r#""requests";q=60;w=60, "images";q=1000;w=86400"#
        );
        let left = Left {
            remaining: 1,
            resets_in: 2,
        };
        assert_eq!(
            left_header(left, left),
            r#""requests";r=1;t=2, "images";r=1;t=2"#
        );
    }

    proptest! {
        #[test]
        fn no_window_ever_gives_more_than_its_limit(
            limit in 0_u32..50,
            calls in prop::collection::vec((0_u32..10, 0_i64..3_000), 1..200),
        ) {
            let quota = Quota { limit, window_seconds: 5 };
            let (mut used, mut now) = (Used::default(), 0);
            let mut given = std::collections::HashMap::<i64, u32>::new();
            for (amount, later) in calls {
                now += later;
                let left = quota.left(used, now);
                let taken = quota.take(used, amount, now);
                prop_assert_eq!(taken.is_some(), amount <= left.remaining);
                if let Some(taken) = taken {
                    used = taken;
                    *given.entry(quota.window(now)).or_default() += amount;
                }
            }
            prop_assert!(given.values().all(|amount| *amount <= limit));
        }
    }
}
