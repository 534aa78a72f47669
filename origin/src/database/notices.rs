//! What others who share the database tell: `PostgreSQL` sends each event of a job on, when it is
//! on record, to whoever listens. A notice may be lost with the connection: they save waiting, and
//! nothing depends on them.

use std::time::Duration;

use darkroom_shared::job::Status;
use secrecy::ExposeSecret as _;
use sqlx::postgres::PgListener;
use tokio::time::timeout;

use super::connection::no_answer;
use super::{Database, DatabaseError};

/// The channel that the trigger in `migrations/postgres` tells on.
const CHANNEL: &str = "darkroom_events";
/// Who hears nothing for so long asks whether there is anybody still.
const SILENCE: Duration = Duration::from_secs(15);
/// How long the answer to that may take.
const ANSWER: Duration = Duration::from_secs(3);

/// Something has happened to a job, somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The job.
    pub job: String,
    /// What it came to; `None` where it only went on.
    pub status: Option<Status>,
}

/// Hears of every event of every job.
#[derive(Debug)]
pub struct Notices(PgListener);

impl Database {
    /// Listens to what happens to jobs; `None` where nobody shares the database.
    ///
    /// # Errors
    /// [`DatabaseError::Connect`].
    pub async fn listen(&self) -> Result<Option<Notices>, DatabaseError> {
        let Some(server) = &self.server else {
            return Ok(None);
        };
        let listen = async {
            let mut listener = PgListener::connect(server.expose_secret()).await?;
            listener.listen(CHANNEL).await?;
            Ok(listener)
        };
        let listener = listen.await.map_err(DatabaseError::Connect)?;
        Ok(Some(Notices(listener)))
    }
}

impl Notices {
    /// The next one. After an error, listen anew.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn next(&mut self) -> Result<Notice, DatabaseError> {
        loop {
            let Ok(told) = timeout(SILENCE, self.0.recv()).await else {
                let asked = sqlx::query("SELECT 1").execute(&mut self.0);
                let answered = timeout(ANSWER, asked).await;
                answered.unwrap_or_else(|_| Err(no_answer()))?;
                continue;
            };
            let told = told?;
            if let Some((name, job)) = told.payload().split_once(' ') {
                return Ok(Notice {
                    job: job.to_owned(),
                    status: Status::parse(name),
                });
            }
        }
    }
}
