//! What a handler may end in other than an answer.

use std::fmt;

use darkroom_shared::problem::{Code, Problem};

use crate::allowance::LimitHeaders;
use crate::log;
use crate::reply::Reply;

/// A handler's result.
pub type Answer = Result<Reply, Failure>;

/// Why there is no answer: something to tell the caller, or a defect to be logged.
pub enum Failure {
    /// Told to the caller as it is.
    Problem(Box<Problem>),
    /// The same, with what is left of the key's allowance.
    Limited(Box<(Problem, LimitHeaders)>),
    /// The runtime refused something that it should not. The caller hears only that it happened.
    Runtime(Box<worker::Error>),
}

impl Failure {
    /// A problem of `code`; `detail` is public.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Problem::new(code, detail).into()
    }

    /// What the caller is told, where that is the failure's to say.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            Self::Limited(limited) => Some(&limited.0),
            Self::Runtime(_) => None,
        }
    }

    /// The same; of what the caller is not told, the log hears.
    pub fn into_problem(self, request_id: &str) -> Problem {
        match self {
            Self::Problem(problem) => *problem,
            Self::Limited(limited) => limited.0,
            Self::Runtime(error) => {
                log::error(request_id, error);
                Problem::new(Code::Internal, "the edge failed; this was logged")
            }
        }
    }
}

/// For the log.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Problem(problem) => f.write_str(&problem.detail),
            Self::Limited(limited) => f.write_str(&limited.0.detail),
            Self::Runtime(error) => error.fmt(f),
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl From<worker::Error> for Failure {
    fn from(error: worker::Error) -> Self {
        Self::Runtime(Box::new(error))
    }
}
