//! Accepting a job: it, its images, what they begin with, and its first event in one transaction.

use darkroom_shared::job::Status;
use darkroom_shared::recipe::Recipe;
use darkroom_shared::request::Visibility;
use darkroom_shared::timestamp::UnixMillis;
use uuid::Uuid;

use super::{Database, DatabaseError, events, starts};
use crate::engine::Start;

/// A job to be accepted.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub account: String,
    /// The caller's label.
    pub task_id: Option<String>,
    /// The recipe of its first image.
    pub recipe: Recipe,
    /// Who may fetch its images.
    pub visibility: Visibility,
    /// Its images, in order.
    pub images: Vec<NewImage>,
    /// What they begin with other than noise.
    pub start: Option<Start>,
    /// Previews of each image.
    pub previews: u32,
    /// When it is accepted.
    pub now: UnixMillis,
}

impl NewJob {
    /// Steps over all its images.
    #[must_use]
    pub fn steps(&self) -> u32 {
        self.recipe.steps_taken() * self.images.len() as u32
    }
}

/// An image of a job to be accepted.
#[derive(Clone, Debug)]
pub struct NewImage {
    /// Its id.
    pub id: Uuid,
    /// Its object name.
    pub key: String,
    /// The seed that makes it alone.
    pub seed: u64,
    /// The hash of its own recipe.
    pub recipe_sha256: String,
}

/// Whether a job was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It is in the queue.
    Accepted,
    /// It was there before, and was left as it is.
    Known,
    /// Another account's job has this id.
    Anothers,
    /// Too many are waiting; nothing was recorded.
    QueueFull,
}

impl Database {
    /// Records a job and its images, unless it is on record or `queue_limit` jobs are waiting.
    ///
    /// # Errors
    /// [`DatabaseError`]; nothing was recorded then.
    pub async fn accept(
        &self,
        job: &NewJob,
        queue_limit: u32,
    ) -> Result<Acceptance, DatabaseError> {
        let recipe = serde_json::to_string(&job.recipe).map_err(DatabaseError::Recipe)?;
        let id = job.id.to_string();
        let mut transaction = self.write().await?;
        let is_seen: Option<bool> = sqlx::query_scalar(
            "SELECT account = ?2 OR EXISTS
                (SELECT 1 FROM job_readers WHERE job_id = id AND job_readers.account = ?2)
             FROM jobs WHERE id = ?1",
        )
        .bind(&id)
        .bind(&job.account)
        .fetch_optional(&mut *transaction)
        .await?;
        match is_seen {
            Some(true) => return Ok(Acceptance::Known),
            Some(false) => return Ok(Acceptance::Anothers),
            None => {}
        }
        let waiting: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM jobs WHERE status = 'queued'")
            .fetch_one(&mut *transaction)
            .await?;
        if waiting >= i64::from(queue_limit) {
            return Ok(Acceptance::QueueFull);
        }
        sqlx::query(
            "INSERT INTO jobs (id, account, task_id, status, recipe, steps, pixels, previews,
                               created_at)
             VALUES (?, ?, ?, 'queued', ?, ?, ?, ?, ?)",
        )
        .bind(&id)
        .bind(&job.account)
        .bind(&job.task_id)
        .bind(recipe)
        .bind(job.steps())
        .bind(i64::from(job.recipe.width) * i64::from(job.recipe.height))
        .bind(job.previews)
        .bind(job.now)
        .execute(&mut *transaction)
        .await?;
        for (position, image) in (0_i64..).zip(&job.images) {
            sqlx::query(
                "INSERT INTO images (id, job_id, position, object_key, seed, recipe_sha256,
                                     visibility, width, height, content_type)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(image.id.to_string())
            .bind(&id)
            .bind(position)
            .bind(&image.key)
            .bind(image.seed as i64)
            .bind(&image.recipe_sha256)
            .bind(job.visibility.as_str())
            .bind(job.recipe.width)
            .bind(job.recipe.height)
            .bind(job.recipe.format.content_type())
            .execute(&mut *transaction)
            .await?;
        }
        if let Some(start) = &job.start {
            starts::put(&mut transaction, &id, start).await?;
        }
        events::append(&mut transaction, &id, Status::Queued.as_str(), job.now).await?;
        transaction.commit().await?;
        Ok(Acceptance::Accepted)
    }
}
