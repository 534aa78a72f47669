//! How a job ends: each in one transaction with its event, and only once.
//!
//! A job may end while it is queued: its last picture reaches the store after the process that
//! is about to stop has handed the job back.

use darkroom_shared::job::{JobError, Status};
use darkroom_shared::timestamp::UnixMillis;
use sqlx::sqlite::SqliteConnection;

use super::{Database, DatabaseError, events, starts};

/// Whether a call ended the job; false where it had ended already, or has not yet.
pub type Ended = bool;

impl Database {
    /// Records that an image is in the store. With the last one its job has succeeded.
    ///
    /// # Errors
    /// [`DatabaseError::Query`]; the object is there, but the database does not know it yet.
    pub async fn image_stored(
        &self,
        image: &str,
        bytes: u64,
        sha256: &str,
        now: UnixMillis,
    ) -> Result<Ended, DatabaseError> {
        let mut transaction = self.write().await?;
        let job: Option<String> = sqlx::query_scalar(
            "UPDATE images SET stored_at = ?, bytes = ?, sha256 = ?
             WHERE id = ? AND stored_at IS NULL RETURNING job_id",
        )
        .bind(now)
        .bind(bytes as i64)
        .bind(sha256)
        .bind(image)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(job) = job else {
            return Ok(false);
        };
        let complete: bool = sqlx::query_scalar(
            "SELECT NOT EXISTS (SELECT 1 FROM images WHERE job_id = ? AND stored_at IS NULL)",
        )
        .bind(&job)
        .fetch_one(&mut *transaction)
        .await?;
        let ended = complete && end(&mut transaction, &job, Status::Succeeded, None, now).await?;
        transaction.commit().await?;
        Ok(ended)
    }

    /// Ends a job without its images.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn fail(
        &self,
        job: &str,
        error: &JobError,
        now: UnixMillis,
    ) -> Result<Ended, DatabaseError> {
        let mut transaction = self.write().await?;
        let ended = end(&mut transaction, job, Status::Failed, Some(error), now).await?;
        transaction.commit().await?;
        Ok(ended)
    }
}

/// Brings a job that has not ended to its final status, with the event.
pub(super) async fn end(
    connection: &mut SqliteConnection,
    job: &str,
    status: Status,
    error: Option<&JobError>,
    now: UnixMillis,
) -> Result<Ended, DatabaseError> {
    let updated = sqlx::query(
        "UPDATE jobs SET status = ?1, finished_at = ?2, error_code = ?3, error_message = ?4,
                         step = CASE ?1 WHEN 'succeeded' THEN steps ELSE step END
         WHERE id = ?5 AND status IN ('queued', 'running')",
    )
    .bind(status.as_str())
    .bind(now)
    .bind(error.map(|error| error.code.as_str()))
    .bind(error.map(|error| &error.message))
    .bind(job)
    .execute(&mut *connection)
    .await?;
    let ended = updated.rows_affected() == 1;
    if ended {
        starts::remove(connection, job).await?;
        events::append(connection, job, status.as_str(), now).await?;
    }
    Ok(ended)
}
