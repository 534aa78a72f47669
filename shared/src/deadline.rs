//! By when a caller needs its pictures: the `Darkroom-Deadline` header.

use crate::problem::{Code, FieldError, Problem};

/// The header: whole seconds from now on.
pub const HEADER: &str = "darkroom-deadline";
/// The longest that can be asked for: a day.
pub const MAX_SECONDS: u32 = 86_400;

/// Reads the header's value.
///
/// # Errors
/// [`Code::Invalid`] for what is no whole number from 1 to [`MAX_SECONDS`].
pub fn parse(header: &str) -> Result<u32, Problem> {
    let seconds = header.trim().parse().ok();
    let is_allowed = |seconds: &u32| (1..=MAX_SECONDS).contains(seconds);
    seconds.filter(is_allowed).ok_or_else(|| {
        let error = FieldError {
            field: "Darkroom-Deadline".to_owned(),
            message: format!("must be a whole number of seconds from 1 to {MAX_SECONDS}"),
        };
        Problem::fields(Code::Invalid, vec![error])
    })
}

/// The refusal of a job that would be done in about `estimate` seconds, which is too late; with
/// nothing before it, it would take about `alone`.
#[must_use]
pub fn missed(deadline: u32, estimate: f64, alone: f64) -> Problem {
    let deadline = f64::from(deadline);
    let mut detail = format!(
        "the pictures would be done in about {estimate} seconds, not within {deadline}; nothing \
         was accepted"
    );
    if alone > deadline {
        let reason = format!(", and by themselves they take about {alone}: allow that much");
        detail.push_str(&reason);
    }
    Problem {
        // By then enough of what is in the way is done, or all of it: longer waiting gains nothing.
        retry_after: Some((estimate - alone.max(deadline)).ceil().max(1.0) as u32),
        eta_seconds: Some(estimate),
        ..Problem::new(Code::DeadlineMissed, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_seconds_are_read_and_nothing_else() {
        assert_eq!(parse(" 30 ").expect("valid"), 30);
        for header in ["", "0", "-1", "1.5", "soon", "86401", "99999999999"] {
            let problem = parse(header).expect_err(header);
            assert_eq!(problem.errors[0].field, "Darkroom-Deadline");
        }
    }

    #[test]
    fn a_refusal_says_the_estimate_and_when_to_try_again() {
        let problem = missed(10, 72.5, 4.0);
        assert_eq!(problem.status, 429);
        assert_eq!(problem.eta_seconds, Some(72.5));
        assert_eq!(problem.retry_after, Some(63));
        assert!(!problem.detail.contains("by themselves"));
    }

    #[test]
    fn a_deadline_that_no_waiting_meets_is_said_to_be_one() {
        let problem = missed(10, 72.5, 40.0);
        assert_eq!(problem.retry_after, Some(33));
        assert!(
            problem.detail.contains("take about 40"),
            "{}",
            problem.detail
        );
        assert_eq!(missed(10, 40.0, 40.0).retry_after, Some(1));
    }
}
