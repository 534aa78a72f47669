//! What a handler may end in other than an answer.

use darkroom_shared::problem::{Code, Problem};
use worker::console_error;

/// A handler's result.
pub type Answer = Result<worker::Response, Failure>;

/// Why there is no answer: something to tell the caller, or a defect to be logged.
#[derive(Debug)]
pub enum Failure {
    /// Told to the caller as it is.
    Problem(Box<Problem>),
    /// The runtime refused something that it should not. The caller hears only that it happened.
    Runtime(worker::Error),
}

impl Failure {
    /// A problem of `code`; `detail` is public.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Problem::new(code, detail).into()
    }

    /// What the caller is told; of what it is not, the log hears.
    pub fn into_problem(self, request_id: &str) -> Problem {
        match self {
            Self::Problem(problem) => *problem,
            Self::Runtime(error) => {
                console_error!("{request_id}: {error}");
                Problem::new(Code::Internal, "the edge failed; this was logged")
            }
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
        Self::Runtime(error)
    }
}
