//! What is kept of a flight: which job makes the recipe, whose it is, and what was answered.

use darkroom_shared::problem::Code;
use serde::Deserialize;
use worker::{SqlStorage, SqlStorageValue, State};

use super::message::{Boarding, Outcome, is_gone};
use crate::failure::Failure;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS flight
    (id INTEGER PRIMARY KEY CHECK (id = 1), job TEXT NOT NULL, account TEXT NOT NULL, answer TEXT)";

/// One recipe's log.
pub(super) struct Log(SqlStorage);

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
        let sql = state.storage().sql();
        sql.exec(TABLE, None)?;
        Ok(Self(sql))
    }

    /// The flight's job, if there is one.
    pub fn flying(&self) -> worker::Result<Option<Flying>> {
        let rows = self
            .0
            .exec("SELECT job, account, answer FROM flight", None)?;
        Ok(rows.to_array()?.pop())
    }

    /// Writes a new job down, before anything is sent: whoever comes next finds it, whatever
    /// happens on the way.
    pub fn begin(&self, boarding: &Boarding) -> worker::Result<Flying> {
        let (job, account) = (boarding.job.clone(), boarding.account.clone());
        self.run(
            "INSERT OR REPLACE INTO flight VALUES (1, ?, ?, NULL)",
            vec![job.as_str().into(), account.as_str().into()],
        )?;
        Ok(Flying {
            job,
            account,
            answer: None,
        })
    }

    /// Remembers of an outcome what makes a difference to whoever comes next.
    pub fn note(&self, flying: &Flying, outcome: &Outcome) -> worker::Result<()> {
        let job = flying.job.as_str().into();
        match outcome {
            Ok(answer) if answer.status == 200 && !is_gone(outcome) => {
                let text = answer.text();
                self.run(
                    "UPDATE flight SET answer = ? WHERE job = ?",
                    vec![text.into(), job],
                )
            }
            Ok(answer) if answer.status < 300 => Ok(()),
            // It may have been accepted, however late: whoever asks next asks for it.
            Err(Failure::Problem(problem)) if problem.code == Code::OriginTimeout => Ok(()),
            Ok(_) | Err(_) => self.forget_job(&flying.job),
        }
    }

    /// Forgets a job that comes to nothing.
    pub fn forget_job(&self, job: &str) -> worker::Result<()> {
        self.run("DELETE FROM flight WHERE job = ?", vec![job.into()])
    }

    /// Forgets whatever there is.
    pub fn forget(&self) -> worker::Result<()> {
        self.run("DELETE FROM flight", Vec::new())
    }

    fn run(&self, statement: &str, values: Vec<SqlStorageValue>) -> worker::Result<()> {
        self.0.exec(statement, values)?;
        Ok(())
    }
}
