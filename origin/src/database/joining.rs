//! Joining the job that makes what another request asks for, or has made it.
//!
//! Public pictures are shared between all accounts, private ones within theirs. Who joins a job that
//! another account began becomes its reader.

use darkroom_shared::job::Status;

use super::accept::known;
use super::connection::{Connection, Transaction};
use super::readers::{self, Reader};
use super::{Database, DatabaseError, NewJob};

/// A job that a request has joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Its id.
    pub job: String,
    /// Whether its images were there already.
    pub is_made: bool,
}

/// Equal recipes take the same steps, so that equal sums of steps are equal numbers of images. A
/// picture that was deleted is made anew. Previews are not the recipe's: who joined a job with
/// others would see too few, or too many. And a job has one address to tell of its end, and one
/// label to tell it by, for each account: who has them in it already wants a job of its own.
const FIND: &str = "
    SELECT jobs.id FROM images JOIN jobs ON jobs.id = images.job_id
    WHERE images.recipe_sha256 = $1 AND images.position = 0 AND images.visibility = $2
      AND jobs.steps = $3 AND ($2 = 'public' OR jobs.account = $4)
      AND (jobs.status = 'succeeded'
           OR jobs.status IN ('queued', 'running') AND jobs.previews = $5)
      AND NOT EXISTS (SELECT 1 FROM images AS gone
                      WHERE gone.job_id = jobs.id AND gone.deleted_at IS NOT NULL)
      AND ($6 = 0 OR jobs.account <> $4 AND NOT EXISTS
           (SELECT 1 FROM job_readers WHERE job_id = jobs.id AND job_readers.account = $4))
    ORDER BY CASE jobs.status WHEN 'succeeded' THEN 0 ELSE 1 END, jobs.sequence LIMIT 1";

/// The job that was handed in under an id (`$1`), or the one that it joined.
pub(super) const NAMED: &str = "COALESCE((SELECT job_id FROM job_aliases WHERE id = $1), $1)";

impl Database {
    /// Whether a job is on record, or there is one that it would join.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn is_there(&self, job: &NewJob) -> Result<bool, DatabaseError> {
        let mut connection = self.readers.acquire().await?;
        let known = known(&mut connection, &job.id.to_string(), &job.account).await?;
        Ok(known.is_some() || find(&mut connection, job).await?.is_some())
    }

    /// Joins the job that makes what this one would make, or has made it; `None` where there is
    /// none. One that is not done by its deadline goes on as long as this one may.
    pub(super) async fn join(
        &self,
        transaction: &mut Transaction,
        job: &NewJob,
    ) -> Result<Option<Joined>, DatabaseError> {
        while let Some(found) = find(transaction, job).await? {
            let Some(shared) = readers::lock(transaction, &found).await? else {
                return Ok(None);
            };
            if matches!(shared.status, Status::Failed | Status::Canceled) {
                // It has ended since it was found, and is not found again.
                continue;
            }
            let reader = Reader {
                account: &job.account,
                task_id: job.task_id.as_deref(),
                webhook_url: job.webhook_url.as_deref(),
                priority: job.priority,
            };
            self.share(transaction, &shared, &reader).await?;
            let is_made = shared.status.is_final();
            if !is_made {
                outlast(transaction, &found, job).await?;
            }
            return Ok(Some(Joined {
                job: found,
                is_made,
            }));
        }
        Ok(None)
    }
}

async fn find(connection: &mut Connection, job: &NewJob) -> Result<Option<String>, DatabaseError> {
    // One that is to be another version of an image is not an equal one.
    let Some(first) = job.images.first().filter(|_| job.previous.is_none()) else {
        return Ok(None);
    };
    Ok(sqlx::query_scalar(FIND)
        .bind(&first.recipe_sha256)
        .bind(job.visibility.as_str())
        .bind(i64::from(job.steps()))
        .bind(&job.account)
        .bind(i64::from(job.previews))
        .bind(i64::from(job.webhook_url.is_some()))
        .fetch_optional(connection)
        .await?)
}

/// A job that is joined has the later of both deadlines, and answers to both ids.
async fn outlast(
    connection: &mut Connection,
    job: &str,
    joining: &NewJob,
) -> Result<(), DatabaseError> {
    sqlx::query(
        "UPDATE jobs SET deadline = $2
         WHERE id = $1 AND deadline IS NOT NULL AND ($2 IS NULL OR deadline < $2)",
    )
    .bind(job)
    .bind(joining.deadline)
    .execute(&mut *connection)
    .await?;
    sqlx::query("INSERT INTO job_aliases (id, job_id) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING")
        .bind(joining.id.to_string())
        .bind(job)
        .execute(connection)
        .await?;
    Ok(())
}
