//! Finding jobs and images again. An account sees its own and nothing else.

use darkroom_shared::job::{Image, Job, Page, Status};
use darkroom_shared::request::Visibility;
use darkroom_shared::trace::TraceParent;
use sqlx::AssertSqlSafe;

use super::joining::NAMED;
use super::rows::{ImageRow, JobRow, cut, places, unreadable};
use super::{Database, DatabaseError, Place};
use crate::addresses::Addresses;
use crate::cause::chain;

/// A job as stored, with what is needed to tell its place in the queue.
#[derive(Clone, Debug)]
pub struct StoredJob {
    /// The job with its stored images; place and estimate are not filled in.
    pub job: Job,
    /// Its place in the queue.
    pub place: Place,
    /// Pixels of one step.
    pub pixels: u64,
    /// Where its spans go on.
    pub trace: Option<TraceParent>,
}

impl Database {
    /// One job of an account, or one that it shares: under its id, or one that joined it.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn job(
        &self,
        account: &str,
        id: &str,
        addresses: &Addresses,
    ) -> Result<Option<StoredJob>, DatabaseError> {
        let row: Option<JobRow> = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT jobs.*, job_readers.account AS reader, job_readers.task_id AS reader_task_id
             FROM jobs
             LEFT JOIN job_readers ON job_readers.job_id = jobs.id AND job_readers.account = $2
             WHERE jobs.id = {NAMED}
               AND (jobs.account = $2 OR job_readers.account IS NOT NULL)"
        )))
        .bind(id)
        .bind(account)
        .fetch_optional(&self.readers)
        .await?;
        let job = row.map(JobRow::into_stored).transpose()?;
        let jobs = self
            .with_images(job.into_iter().collect(), addresses)
            .await?;
        Ok(jobs.into_iter().next())
    }

    /// A page of an account's jobs, newest first, from behind the job `after`. An `after` that
    /// is none of the account's gives an empty page. Jobs that cannot be read are left out.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn jobs(
        &self,
        account: &str,
        after: Option<&str>,
        limit: u32,
        addresses: &Addresses,
    ) -> Result<Page<StoredJob>, DatabaseError> {
        let mut rows: Vec<JobRow> = sqlx::query_as(
            "SELECT * FROM jobs
             WHERE account = $1
               AND ($2 IS NULL
                    OR sequence < (SELECT sequence FROM jobs WHERE id = $2 AND account = $1))
             ORDER BY sequence DESC LIMIT $3",
        )
        .bind(account)
        .bind(after)
        // One more than asked for tells whether there is a next page.
        .bind(i64::from(limit) + 1)
        .fetch_all(&self.readers)
        .await?;
        let next_cursor = cut(&mut rows, limit).map(|row| row.id.clone());
        let mut jobs = Vec::with_capacity(rows.len());
        for row in rows {
            let id = row.id.clone();
            match row.into_stored() {
                Ok(job) => jobs.push(job),
                Err(error) => tracing::error!(job = id, error = chain(&error), "left out"),
            }
        }
        Ok(Page {
            items: self.with_images(jobs, addresses).await?,
            next_cursor,
        })
    }

    /// One stored image of an account, or of a job that it shares.
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
             WHERE images.id = $1 AND stored_at IS NOT NULL AND deleted_at IS NULL
               AND (account = $2 OR EXISTS
                    (SELECT 1 FROM job_readers
                     WHERE job_readers.job_id = jobs.id AND job_readers.account = $2))",
        )
        .bind(id)
        .bind(account)
        .fetch_optional(&self.readers)
        .await?;
        row.map(|row| row.into_image(addresses)).transpose()
    }

    /// Where one of an account's jobs, or one that it shares, stands: to be had of a job that cannot be read, too.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn status(&self, account: &str, id: &str) -> Result<Option<Status>, DatabaseError> {
        let name: Option<String> = sqlx::query_scalar(
            "SELECT status FROM jobs WHERE id = $1 AND (account = $2 OR EXISTS
                 (SELECT 1 FROM job_readers WHERE job_id = jobs.id AND job_readers.account = $2))",
        )
        .bind(id)
        .bind(account)
        .fetch_optional(&self.readers)
        .await?;
        name.map(|name| Status::parse(&name).ok_or_else(|| unreadable("status")))
            .transpose()
    }

    /// Who may fetch a job's images, stored or not: it is the same for all of them.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn visibility(&self, job: &str) -> Result<Visibility, DatabaseError> {
        let name: String =
            sqlx::query_scalar("SELECT visibility FROM images WHERE job_id = $1 LIMIT 1")
                .bind(job)
                .fetch_one(&self.readers)
                .await?;
        Visibility::parse(&name).ok_or_else(|| unreadable("visibility"))
    }

    async fn with_images(
        &self,
        mut jobs: Vec<StoredJob>,
        addresses: &Addresses,
    ) -> Result<Vec<StoredJob>, DatabaseError> {
        if jobs.is_empty() {
            return Ok(jobs);
        }
        let statement = format!(
            "SELECT * FROM images
             WHERE stored_at IS NOT NULL AND deleted_at IS NULL AND job_id IN ({})
             ORDER BY job_id, position",
            places(jobs.len())
        );
        let mut images = sqlx::query_as(AssertSqlSafe(statement));
        for stored in &jobs {
            images = images.bind(stored.job.id.clone());
        }
        let images: Vec<ImageRow> = images.fetch_all(&self.readers).await?;
        for row in images {
            let stored = jobs.iter_mut().find(|stored| stored.job.id == row.job_id);
            if let Some(stored) = stored {
                stored.job.images.push(row.into_image(addresses)?);
            }
        }
        Ok(jobs)
    }
}
