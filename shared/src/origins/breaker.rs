//! A circuit breaker: an origin that fails again and again is left alone for a while, so that
//! callers hear at once what they would hear late, and the origin can get up.

use crate::timestamp::UnixMillis;

/// So many failures in a row open it.
const TRIPS_AT: u32 = 5;
/// How long it then stays open. Each probe that fails doubles that.
const FIRST_PAUSE_MILLIS: UnixMillis = 1_000;
/// The longest pause: no longer than refused callers are told to wait.
const LONGEST_PAUSE_MILLIS: UnixMillis = 5_000;
/// How long an origin that says that it is not ready is believed.
const UNREADY_MILLIS: UnixMillis = 5_000;

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer, whatever it says.
    Answered,
    /// The origin's own word that it is not ready: it is up, and others are the better choice.
    Unready,
    /// No answer, or that of a gateway which got none.
    Failed,
}

/// How an origin is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing speaks against asking it.
    Well,
    /// It says that it is not ready.
    Unready,
    /// It has failed, and has been left alone for long enough: one request may try it.
    Due,
    /// It has failed, and is not asked.
    Open,
}

/// What is remembered of an origin.
#[derive(Clone, Copy, Debug, Default)]
pub struct Breaker {
    failures: u32,
    until: UnixMillis,
}

impl Breaker {
    /// How the origin is at the time `now`.
    #[must_use]
    pub const fn state(&self, now: UnixMillis) -> State {
        match (self.failures >= TRIPS_AT, now >= self.until) {
            (false, true) => State::Well,
            (false, false) => State::Unready,
            (true, true) => State::Due,
            (true, false) => State::Open,
        }
    }

    /// A request is sent at the time `now`. One that tries a failed origin holds back others for
    /// a pause: not until it ends, for nobody says so when its caller leaves.
    pub fn begin(&mut self, now: UnixMillis) {
        if self.state(now) == State::Due {
            self.until = now.saturating_add(self.pause());
        }
    }

    /// A request came to an end.
    pub fn record(&mut self, outcome: Outcome, now: UnixMillis) {
        match outcome {
            Outcome::Answered => *self = Self::default(),
            Outcome::Unready => {
                *self = Self {
                    failures: 0,
                    until: now.saturating_add(UNREADY_MILLIS),
                }
            }
            Outcome::Failed => {
                self.failures = self.failures.saturating_add(1);
                if self.failures >= TRIPS_AT {
                    self.until = now.saturating_add(self.pause());
                }
            }
        }
    }

    fn pause(&self) -> UnixMillis {
        let doublings = self.failures.saturating_sub(TRIPS_AT).min(10);
        (FIRST_PAUSE_MILLIS << doublings).min(LONGEST_PAUSE_MILLIS)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn failed(times: u32, now: UnixMillis) -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..times {
            breaker.record(Outcome::Failed, now);
        }
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_request_try() {
        assert_eq!(failed(TRIPS_AT - 1, 100).state(100), State::Well);
        let mut breaker = failed(TRIPS_AT, 100);
        assert_eq!(breaker.state(100), State::Open);
        assert_eq!(breaker.state(1_099), State::Open);
        assert_eq!(breaker.state(1_100), State::Due);
        breaker.begin(1_100);
        assert_eq!(breaker.state(1_100), State::Open, "others wait for the one");
        breaker.record(Outcome::Answered, 1_200);
        assert_eq!(breaker.state(1_200), State::Well);
    }

    #[test]
    fn a_probe_that_fails_makes_the_pause_longer_up_to_the_longest() {
        let mut breaker = failed(TRIPS_AT, 0);
        let mut now = 0;
        for pause in [1_000, 2_000, 4_000, 5_000, 5_000] {
            assert_eq!(breaker.state(now + pause - 1), State::Open);
            now += pause;
            assert_eq!(breaker.state(now), State::Due);
            breaker.begin(now);
            breaker.record(Outcome::Failed, now);
        }
    }

    #[test]
    fn a_probe_that_never_ends_does_not_keep_it_open_for_good() {
        let mut breaker = failed(TRIPS_AT, 0);
        breaker.begin(1_000);
        assert_eq!(breaker.state(1_999), State::Open);
        assert_eq!(breaker.state(2_000), State::Due);
    }

    #[test]
    fn an_origin_that_is_not_ready_is_up() {
        let mut breaker = failed(TRIPS_AT, 0);
        breaker.record(Outcome::Unready, 1_000);
        assert_eq!(breaker.state(5_999), State::Unready);
        assert_eq!(breaker.state(6_000), State::Well);
    }

    fn outcomes() -> impl Strategy<Value = Vec<(Outcome, UnixMillis)>> {
        let outcome = prop_oneof![
            1 => Just(Outcome::Answered),
            1 => Just(Outcome::Unready),
            6 => Just(Outcome::Failed),
        ];
        proptest::collection::vec((outcome, 0..3_000_i64), 0..60)
    }

    proptest! {
        #[test]
        fn it_is_closed_but_after_enough_failures_and_never_for_longer_than_the_longest_pause(
            outcomes in outcomes()
        ) {
            let (mut breaker, mut now, mut in_a_row) = (Breaker::default(), 0, 0);
            for (outcome, later) in outcomes {
                now += later;
                breaker.begin(now);
                breaker.record(outcome, now);
                in_a_row = if outcome == Outcome::Failed { in_a_row + 1 } else { 0 };
                let state = breaker.state(now);
                prop_assert_eq!(state == State::Open, in_a_row >= TRIPS_AT);
                let after = breaker.state(now + LONGEST_PAUSE_MILLIS);
                prop_assert!(matches!(after, State::Well | State::Due));
            }
        }
    }
}
