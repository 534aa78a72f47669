//! What is said between a caller and a recipe's flight: a header each way, since bodies are large.

use darkroom_shared::priority::Priority;
use darkroom_shared::problem::{CONTENT_TYPE, Code, Problem};
use darkroom_shared::trace::TraceParent;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use worker::Response;

use crate::auth::Caller;
use crate::border::Lines;
use crate::failure::Failure;
use crate::reply::Reply;
use crate::sending::Whole;
use crate::{json, random};

/// Carries a [`Boarding`] to the object.
pub(super) const BOARDING: &str = "darkroom-boarding";
/// Carries a [`Role`] back.
pub const ROLE: &str = "darkroom-role";
/// Says that the answer is a problem of the edge's own, and none of the origin's.
pub const FAILED: &str = "darkroom-failed";

/// Who asks for a recipe, beside the body of the request.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Boarding {
    /// On whose behalf.
    pub account: String,
    /// How that one's jobs stand beside others'.
    #[serde(default)]
    pub priority: Priority,
    /// The job's id, should this caller begin the flight.
    pub job: String,
    /// The caller's own label.
    #[serde(default)]
    pub task_id: Option<String>,
    /// The `Prefer` header for the origin, where there is one.
    pub prefer: Option<String>,
    /// The seconds that it comes to.
    pub wait: u32,
    /// Seconds within which the pictures are needed.
    pub deadline: Option<u32>,
    /// For the logs.
    pub request_id: String,
    /// The request's place in a trace.
    pub traceparent: String,
}

impl Boarding {
    /// Who asks the origin in the flight's name: `account`, as urgently as this caller.
    pub fn caller(&self, account: String) -> Caller {
        let mut caller = Caller::account(account);
        caller.priority = self.priority;
        caller
    }

    /// As JSON that a header takes: of ASCII alone.
    pub fn to_header(&self) -> serde_json::Result<String> {
        let mut header = String::new();
        for letter in serde_json::to_string(self)?.chars() {
            if letter.is_ascii() {
                header.push(letter);
            } else {
                let units = letter.encode_utf16(&mut [0; 2]).to_vec();
                header.extend(units.iter().map(|unit| format!("\\u{unit:04x}")));
            }
        }
        Ok(header)
    }

    /// The request's place in a trace.
    pub fn trace(&self) -> TraceParent {
        TraceParent::parse(&self.traceparent).unwrap_or_else(random::trace)
    }
}

/// What a caller was to the flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// It began the flight: the job has the id that it brought.
    Led,
    /// It came to a flight that was under way.
    Joined,
    /// It came when the pictures were there.
    Late,
}

/// How a call to the origin ended.
pub(super) type Outcome = Result<Whole, Failure>;

/// The answer of the object.
pub(super) fn respond(role: Role, outcome: &Outcome) -> worker::Result<Response> {
    let reply = match outcome {
        Ok(answer) => answer.clone().into_reply(),
        Err(failure) => {
            let problem = failure.problem().ok_or("the flight failed")?;
            Reply::new(problem.status)
                .with("content-type", CONTENT_TYPE)
                .with(FAILED, "")
                .bytes(problem.to_json().into_bytes())
        }
    };
    reply.headers.set(ROLE, serde_json::to_string(&role)?);
    Ok(reply.leave(&Lines::default())?.into())
}

/// Reads [`respond`].
pub(super) fn read(answer: Whole) -> worker::Result<(Role, Outcome)> {
    let role = json::read(answer.headers.get(ROLE).unwrap_or_default())?;
    if !answer.headers.has(FAILED) {
        return Ok((role, Ok(answer)));
    }
    let problem: Problem = answer.json()?;
    Ok((role, Err(problem.into())))
}

/// Whether an outcome is the job's pictures.
pub(super) fn is_made(outcome: &Outcome) -> bool {
    pictures(outcome).is_some_and(|count| count > 0)
}

/// Whether a job that was known is no more to be had: its pictures were deleted, it is one that
/// its owner has left to others, or it was refused or ended, for a deadline that was its first
/// caller's alone.
pub(super) fn is_gone(outcome: &Outcome) -> bool {
    match outcome {
        Ok(answer) if matches!(answer.status, 429 | 500) => {
            let problem = answer.json::<Problem>();
            problem.is_ok_and(|problem| problem.code == Code::DeadlineMissed)
        }
        Ok(answer) => answer.status == 404 || pictures(outcome) == Some(0),
        Err(_) => false,
    }
}

/// How many pictures an outcome has, where it is an origin's word that a job is done.
fn pictures(outcome: &Outcome) -> Option<usize> {
    #[derive(Deserialize)]
    struct Pictures {
        images: Vec<IgnoredAny>,
    }
    let answer = outcome
        .as_ref()
        .ok()
        .filter(|answer| answer.status == 200)?;
    Some(answer.json::<Pictures>().ok()?.images.len())
}
