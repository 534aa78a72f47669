//! What a process that ends, or has died, leaves to the next.

use darkroom_shared::job::{JobError, Status};
use darkroom_shared::problem::Code;
use darkroom_shared::timestamp::UnixMillis;

use super::{Database, DatabaseError, events, outcome};

/// How often a job is taken up: one that took the process down with it each time would
/// otherwise do so for ever.
pub const MAX_ATTEMPTS: u32 = 3;

impl Database {
    /// Returns a dead process's running jobs to the queue, in their old places; how many went
    /// back. Those taken up [`MAX_ATTEMPTS`] times fail instead, unless all their pictures are
    /// among the images `spooled`: they ask no more of the engine. Those whose images are all
    /// stored have succeeded.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn recover(
        &self,
        spooled: &[String],
        now: UnixMillis,
    ) -> Result<usize, DatabaseError> {
        let mut transaction = self.write().await?;
        let complete: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM jobs
             WHERE status IN ('queued', 'running')
               AND NOT EXISTS (SELECT 1 FROM images WHERE job_id = jobs.id AND stored_at IS NULL)",
        )
        .fetch_all(&mut *transaction)
        .await?;
        for job in &complete {
            outcome::end(&mut transaction, job, Status::Succeeded, None, now).await?;
        }
        let given_up: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM jobs
             WHERE status = 'running' AND attempts >= ?
               AND EXISTS (SELECT 1 FROM images WHERE job_id = jobs.id AND stored_at IS NULL
                             AND id NOT IN (SELECT value FROM json_each(?)))",
        )
        .bind(MAX_ATTEMPTS)
        .bind(serde_json::json!(spooled).to_string())
        .fetch_all(&mut *transaction)
        .await?;
        let error = JobError {
            code: Code::GenerationFailed,
            message: format!("the service stopped {MAX_ATTEMPTS} times while it made the picture"),
        };
        for job in &given_up {
            outcome::end(&mut transaction, job, Status::Failed, Some(&error), now).await?;
        }
        transaction.commit().await?;
        self.requeue(now, 0).await
    }

    /// Hands running jobs back to the queue before the process ends; that costs no attempt.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn hand_back(&self, now: UnixMillis) -> Result<usize, DatabaseError> {
        self.requeue(now, 1).await
    }

    async fn requeue(&self, now: UnixMillis, forgiven: i64) -> Result<usize, DatabaseError> {
        let mut transaction = self.write().await?;
        let jobs: Vec<String> = sqlx::query_scalar(
            "UPDATE jobs SET status = 'queued', started_at = NULL, step = 0,
                             attempts = MAX(attempts - ?, 0)
             WHERE status = 'running' RETURNING id",
        )
        .bind(forgiven)
        .fetch_all(&mut *transaction)
        .await?;
        for job in &jobs {
            events::append(&mut transaction, job, Status::Queued.as_str(), now).await?;
        }
        transaction.commit().await?;
        Ok(jobs.len())
    }
}
