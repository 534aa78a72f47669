//! What is kept of a flight: which job makes the recipe, whose it is, and what was answered.

use darkroom_shared::problem::Code;
use serde::Deserialize;
use worker::State;

use super::message::{Boarding, Outcome, is_made};
use crate::failure::Failure;
use crate::sql::Sql;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS flight
    (id INTEGER PRIMARY KEY CHECK (id = 1), job TEXT NOT NULL, account TEXT NOT NULL, answer TEXT)";

/// One recipe's log.
pub(super) struct Log(Sql);

/// The job that makes the recipe, or made it.
#[derive(Clone, Deserialize)]
pub(super) struct Flying {
    /// Its id.
    pub job: String,
    /// Whose it is.
    pub account: String,
    /// What the origin answered once it had all pictures.
    pub answer: Option<String>,
}

impl Log {
    /// The log of the object whose state this is.
    pub fn open(state: &State) -> worker::Result<Self> {
        Sql::open(state, &[TABLE]).map(Self)
    }

    /// The flight's job, if there is one.
    pub fn flying(&self) -> worker::Result<Option<Flying>> {
        let rows = "SELECT job, account, answer FROM flight";
        Ok(self.0.rows(rows, ())?.pop())
    }

    /// Writes a new job down, before anything is sent: whoever comes next finds it, whatever
    /// happens on the way.
    pub fn begin(&self, boarding: &Boarding) -> worker::Result<Flying> {
        self.fly(&boarding.job, &boarding.account)
    }

    /// The job is another account's from now on, unless another job has taken its place.
    pub fn hand_over(&self, job: &str, account: &str) -> worker::Result<()> {
        match self.flying()? {
            Some(flying) if flying.job != job => Ok(()),
            _ => self.fly(job, account).map(drop),
        }
    }

    fn fly(&self, job: &str, account: &str) -> worker::Result<Flying> {
        let statement = "INSERT OR REPLACE INTO flight VALUES (1, ?, ?, NULL)";
        self.0.run(statement, (job, account))?;
        Ok(Flying {
            job: job.to_owned(),
            account: account.to_owned(),
            answer: None,
        })
    }

    /// Remembers of an outcome what makes a difference to whoever comes next.
    pub fn note(&self, flying: &Flying, outcome: &Outcome) -> worker::Result<()> {
        match outcome {
            Ok(answer) if is_made(outcome) => {
                let statement = "UPDATE flight SET answer = ? WHERE job = ?";
                self.0.run(statement, (answer.text(), &flying.job))
            }
            Ok(answer) if answer.status == 202 => Ok(()),
            // It may have been accepted, however late: whoever asks next asks for it.
            Err(Failure::Problem(problem)) if problem.code == Code::OriginTimeout => Ok(()),
            Ok(_) | Err(_) => self.forget_job(flying),
        }
    }

    /// Forgets a job that comes to nothing, for the account that it belongs to.
    pub fn forget_job(&self, flying: &Flying) -> worker::Result<()> {
        let statement = "DELETE FROM flight WHERE job = ? AND account = ?";
        self.0.run(statement, (&flying.job, &flying.account))
    }

    /// Forgets whatever there is.
    pub fn forget(&self) -> worker::Result<()> {
        self.0.run("DELETE FROM flight", ())
    }
}
