//! Taking jobs out of the queue, and putting back those that were not finished.

use darkroom_shared::job::Status;
use darkroom_shared::problem::Code;
use darkroom_shared::recipe::Recipe;
use darkroom_shared::timestamp::UnixMillis;

use super::{Database, DatabaseError, events};

/// How often a job is taken up: one that took the process down with it each time would
/// otherwise do so for ever.
pub const MAX_ATTEMPTS: u32 = 3;

/// A job that the engine has taken up.
#[derive(Clone, Debug)]
pub struct ClaimedJob {
    /// Its id.
    pub id: String,
    /// The caller's label.
    pub task_id: Option<String>,
    /// The recipe of image 0.
    pub recipe: Recipe,
    /// Its images that are not stored yet, in order.
    pub images: Vec<ClaimedImage>,
}

/// An image to be made.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct ClaimedImage {
    /// Its id.
    pub id: String,
    /// Its place in the job.
    pub position: u32,
    /// Its object name.
    #[sqlx(rename = "object_key")]
    pub key: String,
    /// The hash of its own recipe.
    pub recipe_sha256: String,
    /// Its media type.
    pub content_type: String,
}

impl Database {
    /// Claims the job that has waited longest.
    ///
    /// # Errors
    /// [`DatabaseError`]; the job is still in the queue then.
    pub async fn claim(&self, now: UnixMillis) -> Result<Option<ClaimedJob>, DatabaseError> {
        let mut transaction = self.write().await?;
        let row: Option<(String, Option<String>, String)> = sqlx::query_as(
            "UPDATE jobs SET status = 'running', started_at = ?, attempts = attempts + 1
             WHERE sequence = (SELECT sequence FROM jobs WHERE status = 'queued'
                               ORDER BY sequence LIMIT 1)
             RETURNING id, task_id, recipe",
        )
        .bind(now)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some((id, task_id, recipe)) = row else {
            return Ok(None);
        };
        let images = sqlx::query_as(
            "SELECT id, position, object_key, recipe_sha256, content_type FROM images
             WHERE job_id = ? AND stored_at IS NULL ORDER BY position",
        )
        .bind(&id)
        .fetch_all(&mut *transaction)
        .await?;
        events::append(&mut transaction, &id, events::PROGRESS, now).await?;
        transaction.commit().await?;
        let recipe = serde_json::from_str(&recipe).map_err(|source| DatabaseError::Row {
            what: "recipe",
            source: Some(source),
        })?;
        Ok(Some(ClaimedJob {
            id,
            task_id,
            recipe,
            images,
        }))
    }

    /// Records that `step` steps of a running job are done. False where the job no longer runs,
    /// or was further already.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn progress(
        &self,
        job: &str,
        step: u32,
        now: UnixMillis,
    ) -> Result<bool, DatabaseError> {
        let mut transaction = self.write().await?;
        let updated = sqlx::query(
            "UPDATE jobs SET step = ?1 WHERE id = ?2 AND status = 'running' AND step < ?1",
        )
        .bind(step)
        .bind(job)
        .execute(&mut *transaction)
        .await?;
        if updated.rows_affected() == 0 {
            return Ok(false);
        }
        events::append(&mut transaction, job, events::PROGRESS, now).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Records that the engine is done with a job, whatever becomes of its upload: from here
    /// on a restart costs no attempt.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn generated(&self, job: &str) -> Result<(), DatabaseError> {
        sqlx::query("UPDATE jobs SET attempts = 0 WHERE id = ?")
            .bind(job)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Whether a job is running.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn is_running(&self, job: &str) -> Result<bool, DatabaseError> {
        let running: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM jobs WHERE id = ? AND status = 'running')",
        )
        .bind(job)
        .fetch_one(&self.pool)
        .await?;
        Ok(running)
    }

    /// Whether an image is still to be stored.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn is_awaited(&self, image: &str) -> Result<bool, DatabaseError> {
        let awaited: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM images JOIN jobs ON jobs.id = images.job_id
                            WHERE images.id = ? AND stored_at IS NULL
                              AND status IN ('queued', 'running'))",
        )
        .bind(image)
        .fetch_one(&self.pool)
        .await?;
        Ok(awaited)
    }

    /// Returns a dead process's running jobs to the queue, in their old places; those taken up
    /// [`MAX_ATTEMPTS`] times fail instead. Returns how many went back.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn recover(&self, now: UnixMillis) -> Result<usize, DatabaseError> {
        let mut transaction = self.write().await?;
        let given_up: Vec<String> = sqlx::query_scalar(
            "UPDATE jobs SET status = 'failed', finished_at = ?, error_code = ?, error_message = ?
             WHERE status = 'running' AND attempts >= ? RETURNING id",
        )
        .bind(now)
        .bind(Code::GenerationFailed.as_str())
        .bind(format!(
            "the service stopped {MAX_ATTEMPTS} times while it made the picture"
        ))
        .bind(MAX_ATTEMPTS)
        .fetch_all(&mut *transaction)
        .await?;
        for job in &given_up {
            events::append(&mut transaction, job, Status::Failed.as_str(), now).await?;
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
