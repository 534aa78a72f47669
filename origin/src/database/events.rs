//! What happened to a job, numbered from 1, for readers that come and go.

use darkroom_shared::timestamp::UnixMillis;

use super::connection::Connection;
use super::{Database, DatabaseError};

/// The name of the event for a step that is done; the others are named after the status.
pub(super) const PROGRESS: &str = "progress";

/// Events that are read at one time.
pub const EVENTS_AT_ONCE: u32 = 200;

/// One event of a job.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct StoredEvent {
    /// Its number within the job.
    #[sqlx(try_from = "i64")]
    pub number: u32,
    /// `progress`, or the status that the job came to.
    pub name: String,
    /// Steps done at that moment.
    #[sqlx(try_from = "i64")]
    pub step: u32,
    /// When it happened.
    pub at: UnixMillis,
    /// A small picture of what could be seen at that moment, as a `data:` URL.
    pub preview: Option<String>,
}

/// Appends an event, with the job's progress as it is in this transaction.
pub(super) async fn append(
    connection: &mut Connection,
    job: &str,
    name: &str,
    at: UnixMillis,
) -> Result<(), DatabaseError> {
    append_with_preview(connection, job, name, None, at).await
}

/// The same with a preview.
pub(super) async fn append_with_preview(
    connection: &mut Connection,
    job: &str,
    name: &str,
    preview: Option<&str>,
    at: UnixMillis,
) -> Result<(), DatabaseError> {
    sqlx::query(
        "INSERT INTO job_events (job_id, number, name, step, at, preview)
         SELECT id, (SELECT COALESCE(MAX(number), 0) + 1 FROM job_events WHERE job_id = $1),
                $2, step, $3, $4
         FROM jobs WHERE id = $1",
    )
    .bind(job)
    .bind(name)
    .bind(at)
    .bind(preview)
    .execute(connection)
    .await?;
    Ok(())
}

impl Database {
    /// The number of a job's last event so far.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn last_event(&self, job: &str) -> Result<u32, DatabaseError> {
        let last: i64 =
            sqlx::query_scalar("SELECT COALESCE(MAX(number), 0) FROM job_events WHERE job_id = $1")
                .bind(job)
                .fetch_one(&self.readers)
                .await?;
        Ok(last as u32)
    }

    /// The events of a job that come after number `after`, oldest first: [`EVENTS_AT_ONCE`]
    /// of them at most.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn events(&self, job: &str, after: u32) -> Result<Vec<StoredEvent>, DatabaseError> {
        let events = sqlx::query_as(
            "SELECT number, name, step, at, preview FROM job_events
             WHERE job_id = $1 AND number > $2 ORDER BY number LIMIT $3",
        )
        .bind(job)
        .bind(i64::from(after))
        .bind(i64::from(EVENTS_AT_ONCE))
        .fetch_all(&self.readers)
        .await?;
        Ok(events)
    }
}
