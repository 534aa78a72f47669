//! Taking jobs out of the queue, and what is asked about them while they run.

use darkroom_shared::job::{JobError, Status};
use darkroom_shared::problem::Code;
use darkroom_shared::recipe::Recipe;
use darkroom_shared::timestamp::UnixMillis;

use super::{Database, DatabaseError, events, outcome, starts};
use crate::engine::Start;

/// What a claim took out of the queue.
#[derive(Debug)]
pub enum Claim {
    /// A job to be made.
    Job(Box<ClaimedJob>),
    /// A job that no version like this one wrote: it has failed, so that the next one's turn
    /// comes.
    Unreadable {
        /// Its id.
        job: String,
        /// What the parser says.
        source: serde_json::Error,
    },
}

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
    /// What they begin with other than noise.
    pub start: Option<Start>,
    /// Previews of each.
    pub previews: u32,
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
    pub async fn claim(&self, now: UnixMillis) -> Result<Option<Claim>, DatabaseError> {
        let mut transaction = self.write().await?;
        let row: Option<(String, Option<String>, String, u32)> = sqlx::query_as(
            "UPDATE jobs SET status = 'running', started_at = ?, attempts = attempts + 1
             WHERE sequence = (SELECT sequence FROM jobs WHERE status = 'queued'
                               ORDER BY sequence LIMIT 1)
             RETURNING id, task_id, recipe, previews",
        )
        .bind(now)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some((id, task_id, recipe, previews)) = row else {
            return Ok(None);
        };
        let recipe: Recipe = match serde_json::from_str(&recipe) {
            Ok(recipe) => recipe,
            Err(source) => {
                let error = JobError {
                    code: Code::Internal,
                    message: "what was stored of the request cannot be read".to_owned(),
                };
                outcome::end(&mut transaction, &id, Status::Failed, Some(&error), now).await?;
                transaction.commit().await?;
                return Ok(Some(Claim::Unreadable { job: id, source }));
            }
        };
        let images = sqlx::query_as(
            "SELECT id, position, object_key, recipe_sha256, content_type FROM images
             WHERE job_id = ? AND stored_at IS NULL ORDER BY position",
        )
        .bind(&id)
        .fetch_all(&mut *transaction)
        .await?;
        let start = starts::get(&mut transaction, &id, &recipe).await?;
        events::append(&mut transaction, &id, events::PROGRESS, now).await?;
        transaction.commit().await?;
        Ok(Some(Claim::Job(Box::new(ClaimedJob {
            id,
            task_id,
            recipe,
            images,
            start,
            previews,
        }))))
    }

    /// Records that `step` steps of a running job are done, and what can be seen by then. False where the job no longer runs,
    /// or was further already.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn progress(
        &self,
        job: &str,
        step: u32,
        preview: Option<&str>,
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
        let name = events::PROGRESS;
        events::append_with_preview(&mut transaction, job, name, preview, now).await?;
        transaction.commit().await?;
        Ok(true)
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
        .fetch_one(&self.readers)
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
        .fetch_one(&self.readers)
        .await?;
        Ok(awaited)
    }
}
