//! Finding jobs and images again. An account sees its own and nothing else.

use darkroom_shared::job::{Image, Job, Status};

use super::rows::{ImageRow, JobRow};
use super::{Database, DatabaseError};
use crate::addresses::Addresses;

/// A job as stored, with what is needed to tell its place in the queue.
#[derive(Clone, Debug)]
pub struct StoredJob {
    /// The job with its stored images; place and estimate are not filled in.
    pub job: Job,
    /// Its place in the order of all jobs.
    pub sequence: i64,
    /// Pixels of one step.
    pub pixels: u64,
}

/// What is to be done before a queued job's turn comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ahead {
    /// Unfinished jobs before it.
    pub jobs: u32,
    /// Their remaining steps, each times its pixels.
    pub pixel_steps: u64,
}

impl Database {
    /// One job of an account.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn job(
        &self,
        account: &str,
        id: &str,
        addresses: &Addresses,
    ) -> Result<Option<StoredJob>, DatabaseError> {
        let row: Option<JobRow> = sqlx::query_as("SELECT * FROM jobs WHERE id = ? AND account = ?")
            .bind(id)
            .bind(account)
            .fetch_optional(&self.pool)
            .await?;
        let jobs = self
            .with_images(row.into_iter().collect(), addresses)
            .await?;
        Ok(jobs.into_iter().next())
    }

    /// An account's jobs, newest first, from behind the job `after`. An `after` that is none of
    /// the account's gives an empty list.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn jobs(
        &self,
        account: &str,
        after: Option<&str>,
        limit: u32,
        addresses: &Addresses,
    ) -> Result<Vec<StoredJob>, DatabaseError> {
        let rows = sqlx::query_as(
            "SELECT * FROM jobs
             WHERE account = ?1
               AND (?2 IS NULL
                    OR sequence < (SELECT sequence FROM jobs WHERE id = ?2 AND account = ?1))
             ORDER BY sequence DESC LIMIT ?3",
        )
        .bind(account)
        .bind(after)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        self.with_images(rows, addresses).await
    }

    /// One stored image of an account.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn image(
        &self,
        account: &str,
        id: &str,
        addresses: &Addresses,
    ) -> Result<Option<Image>, DatabaseError> {
        let row: Option<ImageRow> = sqlx::query_as(
            "SELECT images.* FROM images JOIN jobs ON jobs.id = images.job_id
             WHERE images.id = ? AND account = ? AND stored_at IS NOT NULL",
        )
        .bind(id)
        .bind(account)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| row.into_image(addresses)).transpose()
    }

    /// Where a job stands.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn status(&self, id: &str) -> Result<Option<Status>, DatabaseError> {
        let name: Option<String> = sqlx::query_scalar("SELECT status FROM jobs WHERE id = ?")
            .bind(id)
            .fetch_optional(&self.pool)
            .await?;
        name.map(|name| {
            Status::parse(&name).ok_or(DatabaseError::Row {
                what: "status",
                source: None,
            })
        })
        .transpose()
    }

    /// What is to be done before the job at `sequence`.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn ahead(&self, sequence: i64) -> Result<Ahead, DatabaseError> {
        let (jobs, pixel_steps): (u32, i64) = sqlx::query_as(
            "SELECT COUNT(*), COALESCE(SUM((steps - step) * pixels), 0) FROM jobs
             WHERE status IN ('queued', 'running') AND sequence < ?",
        )
        .bind(sequence)
        .fetch_one(&self.pool)
        .await?;
        Ok(Ahead {
            jobs,
            pixel_steps: pixel_steps as u64,
        })
    }

    async fn with_images(
        &self,
        rows: Vec<JobRow>,
        addresses: &Addresses,
    ) -> Result<Vec<StoredJob>, DatabaseError> {
        let mut jobs = Vec::with_capacity(rows.len());
        for row in rows {
            jobs.push(StoredJob {
                sequence: row.sequence,
                pixels: row.pixels as u64,
                job: row.into_job()?,
            });
        }
        let ids: Vec<&str> = jobs.iter().map(|stored| stored.job.id.as_str()).collect();
        let images: Vec<ImageRow> = sqlx::query_as(
            "SELECT * FROM images
             WHERE stored_at IS NOT NULL AND job_id IN (SELECT value FROM json_each(?))
             ORDER BY job_id, position",
        )
        .bind(serde_json::json!(ids).to_string())
        .fetch_all(&self.pool)
        .await?;
        for row in images {
            let stored = jobs.iter_mut().find(|stored| stored.job.id == row.job_id);
            if let Some(stored) = stored {
                stored.job.images.push(row.into_image(addresses)?);
            }
        }
        Ok(jobs)
    }
}
