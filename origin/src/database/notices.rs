//! What others who share the database tell: `PostgreSQL` sends each event of a job on, when it is
//! on record, to whoever listens. A notice may be lost with the connection: they save waiting, and
//! nothing depends on them.

use darkroom_shared::job::Status;
use secrecy::ExposeSecret as _;
use sqlx::postgres::PgListener;

use super::{Database, DatabaseError};

/// The channel that the trigger in `migrations/postgres` tells on.
const CHANNEL: &str = "darkroom_events";

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
    /// The next one. After an error it may be asked again: it connects anew.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn next(&mut self) -> Result<Notice, DatabaseError> {
        loop {
            let told = self.0.recv().await?;
            if let Some((name, job)) = told.payload().split_once(' ') {
                return Ok(Notice {
                    job: job.to_owned(),
                    status: Status::parse(name),
                });
            }
        }
    }
}
