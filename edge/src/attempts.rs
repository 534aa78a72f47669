//! Asking the origins until one answers: which of them, how often, and for how long.
//!
//! What is safe is asked again where there is no answer, each time signed anew, since a
//! signature counts once. What each origin made of it is remembered in the isolate.

use std::cell::RefCell;
use std::time::Duration;

use darkroom_shared::origins::{Attempt, Origins, Outcome};
use darkroom_shared::problem::{CONTENT_TYPE, Code, Problem};
use worker::Delay;

use crate::call::now;
use crate::failure::Failure;
use crate::origin::{Ask, signed};
use crate::random;
use crate::sending::{Opened, Whole, media_type};
use crate::settings::Origin;

/// How often an origin is asked at most for one call.
const MOST_ATTEMPTS: usize = 3;
/// What is waited at least before the second attempt and before the third, and at most twice
/// that.
const FIRST_BACKOFF_MILLIS: u64 = 50;
const NEXT_BACKOFF_MILLIS: u64 = 200;

thread_local! {
    /// Of one isolate: numbers, and nothing that belongs to a request.
    static ORIGINS: RefCell<Origins> = RefCell::default();
}

/// Sends what is asked until there is an answer, or no use in another attempt.
pub async fn until_answered(origin: &Origin, ask: &Ask<'_>) -> Result<Opened, Failure> {
    let begun = now();
    let mut tried = Vec::new();
    let mut answer = Err(all_have_failed());
    while let Some(index) = choose(origin, ask, &tried)?
        && let Some(url) = origin.urls.get(index)
    {
        let left = ask.limit.saturating_sub(since(begun));
        // One that hangs must leave time to ask another one.
        let has_others = tried.len() + 1 < origin.urls.len();
        let limit = if ask.may_repeat && has_others {
            left.saturating_sub(origin.timeout / 2).max(left / 2)
        } else {
            left
        };
        answer = signed(origin, url, ask, limit)?.opened().await;
        tried.push(index);

        let verdict = judge(&answer);
        if let Some(outcome) = verdict.outcome {
            ORIGINS.with_borrow_mut(|origins| origins.record(index, outcome, now()));
        }
        let pause = backoff(tried.len())?;
        let may_go_on = ask.may_repeat
            && verdict.is_worth_another
            && tried.len() < MOST_ATTEMPTS
            && since(begun).saturating_add(pause) < ask.limit;
        if !may_go_on {
            break;
        }
        Delay::from(pause).await;
    }
    if let Some(observed) = ask.observed {
        observed.asked_origin_since(begun);
    }
    answer
}

fn choose(origin: &Origin, ask: &Ask<'_>, tried: &[usize]) -> Result<Option<usize>, Failure> {
    let attempt = Attempt {
        count: origin.urls.len(),
        tried,
        may_repeat: ask.may_repeat,
        draw: random::draw()?,
    };
    Ok(ORIGINS.with_borrow_mut(|origins| origins.choose(&attempt, now())))
}

/// What came of an attempt.
struct Verdict {
    /// What it says of the origin: nothing, where the edge itself failed.
    outcome: Option<Outcome>,
    /// Whether the same may go better a moment later, or somewhere else.
    is_worth_another: bool,
}

fn judge(answer: &Result<Opened, Failure>) -> Verdict {
    let (outcome, is_worth_another) = match answer {
        Ok(Opened::Whole(whole)) if matches!(whole.status, 502..=504) => (Some(told(whole)), true),
        Ok(_) => (Some(Outcome::Answered), false),
        Err(Failure::Problem(_)) => (Some(Outcome::Failed), true),
        Err(Failure::Limited(_) | Failure::Runtime(_)) => (None, false),
    };
    Verdict {
        outcome,
        is_worth_another,
    }
}

/// An origin that says in its own words what it cannot do is up. A gateway's page says that it
/// is not.
fn told(whole: &Whole) -> Outcome {
    let is_problem = media_type(&whole.headers) == CONTENT_TYPE;
    let problem = || whole.json::<Problem>().ok();
    match is_problem.then(problem).flatten() {
        Some(problem) if problem.code == Code::Unavailable => Outcome::Unready,
        Some(_) => Outcome::Answered,
        None => Outcome::Failed,
    }
}

/// What is waited after so many attempts: no two callers wait equally long, so that they do not
/// come back all at once.
fn backoff(attempts: usize) -> Result<Duration, Failure> {
    let least = match attempts {
        0 | 1 => FIRST_BACKOFF_MILLIS,
        _ => NEXT_BACKOFF_MILLIS,
    };
    let share = least * u64::from(random::draw()?) / u64::from(u32::MAX);
    Ok(Duration::from_millis(least + share))
}

fn since(begun: i64) -> Duration {
    Duration::from_millis(now().saturating_sub(begun).try_into().unwrap_or_default())
}

fn all_have_failed() -> Failure {
    let detail = "the origin has failed again and again, and is left alone for a moment";
    Failure::new(Code::Unavailable, detail)
}
