//! How a job ends: each in one transaction with its event, and only once.
//!
//! Who made the job says by which [`Lease`], and is refused where the job was claimed by another
//! since. A job may end while it is queued: its last picture reaches the store after the process
//! that is about to stop has handed the job back.

use darkroom_shared::job::{JobError, Status};
use darkroom_shared::timestamp::UnixMillis;

use super::connection::Connection;
use super::{Database, DatabaseError, Lease, checkpoints, events, leases, outbox, starts};

/// Whether a call ended the job; false where it had ended already, or has not yet.
pub type Ended = bool;

/// What came of a picture that is in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is on record, and others of its job are awaited.
    One,
    /// It is on record and was the last: its job has succeeded.
    Last,
    /// Nobody awaits it from here: the job was claimed by another since, or has ended.
    Unwanted,
}

impl Database {
    /// Records that an image is in the store. With the last one its job has succeeded.
    ///
    /// # Errors
    /// [`DatabaseError::Query`]; the object is there, but the database does not know it yet.
    pub async fn image_stored(
        &self,
        lease: &Lease,
        image: &str,
        bytes: u64,
        sha256: &str,
        now: UnixMillis,
    ) -> Result<Stored, DatabaseError> {
        let mut transaction = self.write().await?;
        // Who claims the job has to wait, and who records its other images.
        if !leases::lock(&mut transaction, lease).await? {
            return Ok(Stored::Unwanted);
        }
        sqlx::query(
            "UPDATE images SET stored_at = $1, bytes = $2, sha256 = $3
             WHERE id = $4 AND job_id = $5 AND stored_at IS NULL",
        )
        .bind(now)
        .bind(bytes as i64)
        .bind(sha256)
        .bind(image)
        .bind(&lease.job)
        .execute(&mut *transaction)
        .await?;
        let awaited: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM images WHERE job_id = $1 AND stored_at IS NULL LIMIT 1",
        )
        .bind(&lease.job)
        .fetch_optional(&mut *transaction)
        .await?;
        let stored = if awaited.is_some() {
            Stored::One
        } else {
            end(&mut transaction, &lease.job, Status::Succeeded, None, now).await?;
            Stored::Last
        };
        transaction.commit().await?;
        Ok(stored)
    }

    /// Ends a job without its images, where it was not claimed by another since.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn fail(
        &self,
        lease: &Lease,
        error: &JobError,
        now: UnixMillis,
    ) -> Result<Ended, DatabaseError> {
        self.end_held(lease, Status::Failed, Some(error), now).await
    }

    /// Ends a job that was not claimed by another since.
    pub(super) async fn end_held(
        &self,
        lease: &Lease,
        status: Status,
        error: Option<&JobError>,
        now: UnixMillis,
    ) -> Result<Ended, DatabaseError> {
        let mut transaction = self.write().await?;
        let ended = leases::lock(&mut transaction, lease).await?
            && end(&mut transaction, &lease.job, status, error, now).await?;
        transaction.commit().await?;
        Ok(ended)
    }
}

/// Brings a job that has not ended to its final status, with the event and what is to be told of
/// it. One that was never taken up has cost nothing: its account's next one need not wait behind it,
/// nor that of who joined it.
pub(super) async fn end(
    connection: &mut Connection,
    job: &str,
    status: Status,
    error: Option<&JobError>,
    now: UnixMillis,
) -> Result<Ended, DatabaseError> {
    let updated = sqlx::query(
        "UPDATE jobs SET status = $1, finished_at = $2, error_code = $3, error_message = $4,
                         step = CASE $1 WHEN 'succeeded' THEN steps ELSE step END,
                         turn_end = CASE WHEN attempts = 0 THEN 0 ELSE turn_end END
         WHERE id = $5 AND status IN ('queued', 'running')",
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
        sqlx::query(
            "UPDATE job_readers SET turn_end = 0 WHERE job_id = $1 AND turn_end > 0
               AND EXISTS (SELECT 1 FROM jobs WHERE id = $1 AND attempts = 0)",
        )
        .bind(job)
        .execute(&mut *connection)
        .await?;
        starts::remove(connection, job).await?;
        checkpoints::remove(connection, job).await?;
        events::append(connection, job, status.as_str(), now).await?;
        outbox::put(connection, job).await?;
    }
    Ok(ended)
}
