//! Which origin to ask next.

use super::{Breaker, Outcome, State};
use crate::timestamp::UnixMillis;

/// What is known of each origin, by its place in the list.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    breakers: Vec<Breaker>,
}

/// The attempt that needs an origin.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// How many origins there are.
    pub count: usize,
    /// Those that this call has asked already.
    pub tried: &'a [usize],
    /// Whether the call may be made again, somewhere else, where this attempt fails.
    pub may_repeat: bool,
    /// Random: which of several that are equally good.
    pub draw: u32,
}

impl Origins {
    /// The origin to ask at the time `now`; `None` where all have failed and none is due.
    ///
    /// One that this call has not asked yet comes before one that it has, and one that is well
    /// before one that is not. An origin that has failed is tried by a call that can go on to
    /// another, so that it costs that call a moment; by others only where nothing else is left.
    pub fn choose(&mut self, attempt: &Attempt<'_>, now: UnixMillis) -> Option<usize> {
        self.breakers.resize(attempt.count, Breaker::default());
        let rank = |index: usize, breaker: &Breaker| {
            let rank = match breaker.state(now) {
                State::Due if attempt.may_repeat => 0,
                State::Well => 1,
                State::Unready => 2,
                State::Due => 3,
                State::Open => return None,
            };
            Some((attempt.tried.contains(&index), rank))
        };
        let ranked = || {
            let all = self.breakers.iter().enumerate();
            all.filter_map(|(index, breaker)| Some((index, rank(index, breaker)?)))
        };
        let (_, best) = ranked().min_by_key(|(_, rank)| *rank)?;
        let equals: Vec<_> = ranked().filter(|(_, rank)| *rank == best).collect();
        let drawn = (attempt.draw as usize).checked_rem(equals.len())?;
        let (chosen, _) = *equals.get(drawn)?;
        self.breakers.get_mut(chosen)?.begin(now);
        Some(chosen)
    }

    /// What came of asking an origin.
    pub fn record(&mut self, index: usize, outcome: Outcome, now: UnixMillis) {
        if let Some(breaker) = self.breakers.get_mut(index) {
            breaker.record(outcome, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const THREE: Attempt<'_> = Attempt {
        count: 3,
        tried: &[],
        may_repeat: false,
        draw: 0,
    };

    fn fail(origins: &mut Origins, index: usize, times: usize) {
        for _ in 0..times {
            origins.record(index, Outcome::Failed, 0);
        }
    }

    fn chosen(origins: &mut Origins, attempt: Attempt<'_>, now: UnixMillis) -> Vec<usize> {
        let draws = 0..30;
        let choose = |draw| origins.choose(&Attempt { draw, ..attempt }, now);
        draws.filter_map(choose).collect()
    }

    fn count(chosen: &[usize], index: usize) -> usize {
        chosen.iter().filter(|chosen| **chosen == index).count()
    }

    #[test]
    fn load_is_spread_over_those_that_are_well() {
        let mut origins = Origins::default();
        let all = chosen(&mut origins, THREE, 0);
        assert_eq!([0, 1, 2].map(|index| count(&all, index)), [10, 10, 10]);
        fail(&mut origins, 1, 5);
        let rest = chosen(&mut origins, THREE, 0);
        assert_eq!([0, 1, 2].map(|index| count(&rest, index)), [15, 0, 15]);
        origins.record(0, Outcome::Unready, 0);
        let one = chosen(&mut origins, THREE, 0);
        assert_eq!(count(&one, 2), 30);
    }

    #[test]
    fn a_failed_origin_is_tried_once_by_a_call_that_can_go_on() {
        let mut origins = Origins::default();
        chosen(&mut origins, THREE, 0);
        fail(&mut origins, 1, 5);
        let now = 1_000;
        assert_eq!(count(&chosen(&mut origins, THREE, now), 1), 0);
        let repeatable = Attempt {
            may_repeat: true,
            ..THREE
        };
        assert_eq!(count(&chosen(&mut origins, repeatable, now), 1), 1);
        let further = Attempt {
            tried: &[1],
            ..repeatable
        };
        assert_eq!(count(&chosen(&mut origins, further, now + 1_000), 1), 0);
    }

    #[test]
    fn where_all_have_failed_nothing_is_asked_until_one_is_due() {
        let mut origins = Origins::default();
        chosen(&mut origins, THREE, 0);
        (0..3).for_each(|index| fail(&mut origins, index, 5));
        assert_eq!(origins.choose(&THREE, 999), None);
        let mut due = chosen(&mut origins, THREE, 1_000);
        due.sort_unstable();
        assert_eq!(due, [0, 1, 2], "one request for each");
    }

    #[test]
    fn without_origins_there_is_nothing_to_choose() {
        let none = Attempt { count: 0, ..THREE };
        assert_eq!(Origins::default().choose(&none, 0), None);
        Origins::default().record(7, Outcome::Failed, 0);
    }

    proptest! {
        #[test]
        fn another_attempt_goes_to_another_origin_while_there_is_one(
            count in 1..6_usize, draws: [u32; 5], may_repeat: bool
        ) {
            let mut origins = Origins::default();
            let mut tried = Vec::new();
            for draw in draws {
                let attempt = Attempt { count, tried: &tried, may_repeat, draw };
                let chosen = origins.choose(&attempt, 0).expect("none has failed often enough");
                prop_assert!(chosen < count);
                prop_assert_eq!(tried.contains(&chosen), tried.len() >= count);
                origins.record(chosen, Outcome::Failed, 0);
                tried.push(chosen);
            }
        }

        #[test]
        fn an_open_origin_is_never_asked_and_a_well_one_always_found(
            failures in proptest::collection::vec(0..9_usize, 1..6), draw: u32, may_repeat: bool
        ) {
            let mut origins = Origins::default();
            let attempt = Attempt { count: failures.len(), tried: &[], may_repeat, draw };
            origins.choose(&attempt, 0);
            for (index, times) in failures.iter().enumerate() {
                fail(&mut origins, index, *times);
            }
            let chosen = origins.choose(&attempt, 0);
            prop_assert_eq!(chosen.is_some(), failures.iter().any(|times| *times < 5));
            prop_assert!(chosen.is_none_or(|index| failures[index] < 5));
        }
    }
}
