//! How a job ends: each in one transaction with its event, and only once.

use darkroom_shared::job::{JobError, Status};
use darkroom_shared::timestamp::UnixMillis;

use super::{Database, DatabaseError, events};

/// Whether a call ended the job; false where it had ended already, or has not yet.
pub type Ended = bool;

impl Database {
    /// Records that an image is in the store. With the last one its job has succeeded.
    ///
    /// # Errors
    /// [`DatabaseError::Query`]; the object is there, but the books do not know it yet.
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
        let updated = sqlx::query(
            "UPDATE jobs SET status = 'succeeded', step = steps, finished_at = ?1
             WHERE id = ?2 AND status = 'running'
               AND NOT EXISTS (SELECT 1 FROM images WHERE job_id = ?2 AND stored_at IS NULL)",
        )
        .bind(now)
        .bind(&job)
        .execute(&mut *transaction)
        .await?;
        let ended = updated.rows_affected() == 1;
        if ended {
            events::append(&mut transaction, &job, Status::Succeeded.as_str(), now).await?;
        }
        transaction.commit().await?;
        Ok(ended)
    }

    /// Ends a running job without its images.
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
        let updated = sqlx::query(
            "UPDATE jobs SET status = 'failed', finished_at = ?, error_code = ?, error_message = ?
             WHERE id = ? AND status = 'running'",
        )
        .bind(now)
        .bind(error.code.as_str())
        .bind(&error.message)
        .bind(job)
        .execute(&mut *transaction)
        .await?;
        let ended = updated.rows_affected() == 1;
        if ended {
            events::append(&mut transaction, job, Status::Failed.as_str(), now).await?;
        }
        transaction.commit().await?;
        Ok(ended)
    }

    /// Cancels a job that has not ended. Who runs it finds out at its next step.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn cancel(&self, job: &str, now: UnixMillis) -> Result<Ended, DatabaseError> {
        let mut transaction = self.write().await?;
        let updated = sqlx::query(
            "UPDATE jobs SET status = 'canceled', finished_at = ?
             WHERE id = ? AND status IN ('queued', 'running')",
        )
        .bind(now)
        .bind(job)
        .execute(&mut *transaction)
        .await?;
        let ended = updated.rows_affected() == 1;
        if ended {
            events::append(&mut transaction, job, Status::Canceled.as_str(), now).await?;
        }
        transaction.commit().await?;
        Ok(ended)
    }
}
