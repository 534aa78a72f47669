//! How long a claim holds, and what becomes of the jobs of those who no longer hold on to theirs.
//!
//! All moments here are [`Database::now`]'s.

use std::time::Duration;

use darkroom_shared::job::{JobError, Status};
use darkroom_shared::problem::Code;
use darkroom_shared::timestamp::UnixMillis;
use sqlx::AssertSqlSafe;

use super::connection::Connection;
use super::{Database, DatabaseError, Lease, checkpoints, events, outcome};

/// How often a job is taken up: one that took the process down with it each time would
/// otherwise do so for ever.
pub const MAX_ATTEMPTS: u32 = 3;
/// How often a job is taken up whose pictures seem to be made. The service may stop many times while
/// the store is away, but not for ever.
const MAX_CLAIMS: u32 = 10 * MAX_ATTEMPTS;
/// How long a claim holds unless it is renewed.
pub const LEASE: Duration = Duration::from_secs(15);

/// A job's attempts, without a claim that was never begun.
const COUNTED: &str = "attempts - CASE WHEN begun_token = token THEN 0 ELSE 1 END";

/// What came of a try that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// The job is queued again, and waits a while.
    Again,
    /// It was the last try: the job has failed.
    Failed,
    /// The lease no longer held: somebody else decides.
    Lost,
}

/// A job that somebody has claimed.
#[derive(sqlx::FromRow)]
struct Held {
    id: String,
    /// With the present claim's where that was begun: only then it counts.
    attempts: i64,
    step: i64,
    steps: i64,
}

impl Database {
    /// Renews leases; those that no longer hold, because the job has ended, was handed back, or
    /// was claimed by another.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn renew(
        &self,
        leases: &[Lease],
        now: UnixMillis,
    ) -> Result<Vec<Lease>, DatabaseError> {
        let mut lost = Vec::new();
        if leases.is_empty() {
            return Ok(lost);
        }
        let mut transaction = self.write_forgetfully().await?;
        for lease in leases {
            let renewed = sqlx::query(
                "UPDATE jobs SET lease_until = $1
                 WHERE id = $2 AND token = $3 AND status = 'running'",
            )
            .bind(now + LEASE.as_millis() as i64)
            .bind(&lease.job)
            .bind(lease.token)
            .execute(&mut *transaction)
            .await?;
            if renewed.rows_affected() == 0 {
                lost.push(lease.clone());
            }
        }
        transaction.commit().await?;
        Ok(lost)
    }

    /// Whether a lease still holds.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn holds(&self, lease: &Lease) -> Result<bool, DatabaseError> {
        let held: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM jobs WHERE id = $1 AND token = $2 AND status = 'running'",
        )
        .bind(&lease.job)
        .bind(lease.token)
        .fetch_optional(&self.readers)
        .await?;
        Ok(held.is_some())
    }

    /// Takes back the jobs whose leases have run out: their holders are dead, or cut off. They are
    /// queued again in their old places, to be taken up after `pause` of their attempts. Those
    /// taken up [`MAX_ATTEMPTS`] times fail, unless all that is left to do is to store what was
    /// made.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn expire(
        &self,
        pause: impl Fn(u32) -> Duration,
        now: UnixMillis,
    ) -> Result<Vec<String>, DatabaseError> {
        let over: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM jobs WHERE status = 'running' AND lease_until < $1 LIMIT 1",
        )
        .bind(now)
        .fetch_optional(&self.readers)
        .await?;
        if over.is_none() {
            return Ok(Vec::new());
        }
        let statement = format!(
            "SELECT id, {COUNTED} AS attempts, step, steps FROM jobs
             WHERE status = 'running' AND lease_until < $1 {}",
            self.dialect.skip_locked()
        );
        let mut transaction = self.write().await?;
        let held: Vec<Held> = sqlx::query_as(AssertSqlSafe(statement))
            .bind(now)
            .fetch_all(&mut *transaction)
            .await?;
        for job in &held {
            take_back(&mut transaction, job, pause(job.attempts as u32), now).await?;
        }
        transaction.commit().await?;
        Ok(held.into_iter().map(|job| job.id).collect())
    }

    /// The same at once for the leases of `holder`, which is known to be dead: a process that
    /// starts says so of the one before it.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn release(&self, holder: &str, now: UnixMillis) -> Result<usize, DatabaseError> {
        let mut transaction = self.write().await?;
        let held = held_by(&mut transaction, holder).await?;
        for job in &held {
            take_back(&mut transaction, job, Duration::ZERO, now).await?;
        }
        transaction.commit().await?;
        Ok(held.len())
    }

    /// Hands the jobs of `holder` back to the queue before the process ends; that costs no
    /// attempt.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn hand_back(&self, holder: &str, now: UnixMillis) -> Result<usize, DatabaseError> {
        let mut transaction = self.write().await?;
        let held = held_by(&mut transaction, holder).await?;
        for job in &held {
            give_back(&mut transaction, &job.id, now).await?;
        }
        transaction.commit().await?;
        Ok(held.len())
    }

    /// The same of one job, which was claimed for nothing. False where the lease no longer holds.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn give_back(&self, lease: &Lease, now: UnixMillis) -> Result<bool, DatabaseError> {
        let mut transaction = self.write().await?;
        let held = sqlx::query(
            "UPDATE jobs SET token = token WHERE id = $1 AND token = $2 AND status = 'running'",
        )
        .bind(&lease.job)
        .bind(lease.token)
        .execute(&mut *transaction)
        .await?;
        let held = held.rows_affected() == 1;
        if held {
            give_back(&mut transaction, &lease.job, now).await?;
        }
        transaction.commit().await?;
        Ok(held)
    }

    /// Queues a job again whose try failed, to be taken up after `pause` of its attempts; with
    /// [`MAX_ATTEMPTS`] of them it fails with `error`.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn try_again(
        &self,
        lease: &Lease,
        error: &JobError,
        pause: impl Fn(u32) -> Duration,
        now: UnixMillis,
    ) -> Result<Tried, DatabaseError> {
        let mut transaction = self.write().await?;
        let attempts: Option<i64> = sqlx::query_scalar(
            "UPDATE jobs SET token = token WHERE id = $1 AND token = $2 AND status = 'running'
             RETURNING attempts",
        )
        .bind(&lease.job)
        .bind(lease.token)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(attempts) = attempts else {
            return Ok(Tried::Lost);
        };
        // The way there may have led to it.
        checkpoints::remove(&mut transaction, &lease.job).await?;
        let tried = if attempts < i64::from(MAX_ATTEMPTS) {
            let at = now + pause(attempts as u32).as_millis() as i64;
            requeue(&mut transaction, &lease.job, attempts, at, now).await?;
            Tried::Again
        } else {
            let status = Status::Failed;
            outcome::end(&mut transaction, &lease.job, status, Some(error), now).await?;
            Tried::Failed
        };
        transaction.commit().await?;
        Ok(tried)
    }
}

/// Locks a job for whoever has it, or just handed it back: changes nothing, but that others have to
/// wait. False where it was claimed by another since, or has ended.
pub(super) async fn lock(
    connection: &mut Connection,
    lease: &Lease,
) -> Result<bool, DatabaseError> {
    let locked = sqlx::query(
        "UPDATE jobs SET token = token
         WHERE id = $1 AND token = $2 AND status IN ('queued', 'running')",
    )
    .bind(&lease.job)
    .bind(lease.token)
    .execute(connection)
    .await?;
    Ok(locked.rows_affected() == 1)
}

async fn held_by(connection: &mut Connection, holder: &str) -> Result<Vec<Held>, DatabaseError> {
    // An update, for others to wait until these are dealt with.
    let statement = format!(
        "UPDATE jobs SET token = token WHERE status = 'running' AND lease_holder = $1
         RETURNING id, {COUNTED} AS attempts, step, steps"
    );
    let held = sqlx::query_as(AssertSqlSafe(statement))
        .bind(holder)
        .fetch_all(connection)
        .await?;
    Ok(held)
}

/// Queues a job again that was taken up and let go of in order: that costs no attempt.
async fn give_back(
    connection: &mut Connection,
    job: &str,
    now: UnixMillis,
) -> Result<(), DatabaseError> {
    let attempts: i64 = sqlx::query_scalar("SELECT attempts - 1 FROM jobs WHERE id = $1")
        .bind(job)
        .fetch_one(&mut *connection)
        .await?;
    requeue(connection, job, attempts, now, now).await
}

/// Queues a job again whose holder is gone, or fails it.
async fn take_back(
    connection: &mut Connection,
    job: &Held,
    pause: Duration,
    now: UnixMillis,
) -> Result<(), DatabaseError> {
    let is_made = job.step >= job.steps && job.attempts < i64::from(MAX_CLAIMS);
    if job.attempts >= i64::from(MAX_ATTEMPTS) && !is_made {
        let error = JobError {
            code: Code::GenerationFailed,
            message: format!("the service stopped {MAX_ATTEMPTS} times while it made the picture"),
        };
        outcome::end(connection, &job.id, Status::Failed, Some(&error), now).await?;
    } else {
        let at = now + pause.as_millis() as i64;
        requeue(connection, &job.id, job.attempts, at, now).await?;
    }
    Ok(())
}

async fn requeue(
    connection: &mut Connection,
    job: &str,
    attempts: i64,
    at: UnixMillis,
    now: UnixMillis,
) -> Result<(), DatabaseError> {
    sqlx::query(
        "UPDATE jobs SET status = 'queued', started_at = NULL, lease_holder = NULL,
                         lease_until = NULL, attempts = $1, run_after = $2,
                         step = CASE WHEN EXISTS (SELECT 1 FROM job_checkpoints WHERE job_id = $3)
                                THEN step ELSE 0 END
         WHERE id = $3",
    )
    .bind(attempts)
    .bind(at)
    .bind(job)
    .execute(&mut *connection)
    .await?;
    events::append(connection, job, Status::Queued.as_str(), now).await
}
