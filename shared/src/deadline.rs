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

/// The refusal of a job that would be done in about `estimate` seconds, which is too late.
#[must_use]
pub fn missed(deadline: u32, estimate: f64) -> Problem {
    let detail = format!(
        "the pictures would be done in about {estimate} seconds, not within {deadline}; nothing \
         was accepted"
    );
    Problem {
        // By then what is in the way now is done.
        retry_after: Some((estimate - f64::from(deadline)).ceil().max(1.0) as u32),
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
        let problem = missed(10, 72.5);
        assert_eq!(problem.status, 429);
        assert_eq!(problem.eta_seconds, Some(72.5));
        assert_eq!(problem.retry_after, Some(63));
    }
}
