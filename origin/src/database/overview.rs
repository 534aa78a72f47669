//! The operator's view: the jobs of all accounts.

use std::time::Duration;

use darkroom_shared::job::{Job, Page, Status};
use darkroom_shared::timestamp::UnixMillis;
use serde::Serialize;

use super::connection::Connection;
use super::rows::{JobRow, cut, unreadable};
use super::{Database, DatabaseError, events, outbox, outcome};
use crate::addresses::Addresses;

/// How much there is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Jobs that wait.
    pub queued: i64,
    /// Jobs that are being made, or wait for the store.
    pub running: i64,
    /// How long the first of those that wait has done so.
    pub oldest_wait: Duration,
}

/// Each status by the index that has its jobs alone: those that have ended may be many.
const DEPTH: &str = "
    SELECT 'queued', COUNT(*), COALESCE(MIN(created_at), 0) FROM jobs WHERE status = 'queued'
    UNION ALL
    SELECT 'running', COUNT(*), 0 FROM jobs WHERE status = 'running'";

impl Database {
    /// How much there is to do, for all machines together.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn depth(&self) -> Result<QueueDepth, DatabaseError> {
        let now = self.now().await?;
        let rows: Vec<(String, i64, i64)> = sqlx::query_as(DEPTH).fetch_all(&self.readers).await?;
        let mut depth = QueueDepth::default();
        for (status, jobs, oldest) in rows {
            if status == Status::Running.as_str() {
                depth.running = jobs;
            } else if jobs > 0 {
                depth.queued = jobs;
                depth.oldest_wait = Duration::from_millis((now - oldest).max(0) as u64);
            }
        }
        Ok(depth)
    }
}

/// A job as the operator sees it.
#[derive(Clone, Debug, Serialize)]
pub struct AccountJob {
    /// Whose it is.
    pub account: String,
    /// How often the engine took it up.
    pub attempts: i64,
    /// The id of the machine that has it, or had it last.
    pub machine: Option<String>,
    /// The job, without place and estimate.
    #[serde(flatten)]
    pub job: Job,
}

/// Which jobs to list. All of them, unless something is said.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// Those of one status.
    pub status: Option<Status>,
    /// Those of one account.
    pub account: Option<String>,
    /// Those handed in before this one.
    pub before: Option<String>,
}

/// What came of an operator's word about a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It is done.
    Done,
    /// There is no such job.
    Unknown,
    /// The job is past that, or not there yet.
    Status(Status),
    /// What the job began with is gone, since it has ended: only its caller has the picture.
    StartGone,
}

#[derive(sqlx::FromRow)]
struct AccountRow {
    account: String,
    attempts: i64,
    lease_holder: Option<String>,
    #[sqlx(flatten)]
    job: JobRow,
}

impl AccountRow {
    fn into_job(self) -> Result<AccountJob, DatabaseError> {
        Ok(AccountJob {
            account: self.account,
            attempts: self.attempts,
            machine: self.lease_holder,
            job: self.job.into_stored()?.job,
        })
    }
}

impl Database {
    /// A page of all accounts' jobs, newest first, without their images.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn all_jobs(
        &self,
        filter: &JobFilter,
        limit: u32,
    ) -> Result<Page<AccountJob>, DatabaseError> {
        let mut rows: Vec<AccountRow> = sqlx::query_as(
            "SELECT * FROM jobs
             WHERE ($1 IS NULL OR status = $1) AND ($2 IS NULL OR account = $2)
               AND ($3 IS NULL OR sequence < (SELECT sequence FROM jobs WHERE id = $3))
             ORDER BY sequence DESC LIMIT $4",
        )
        .bind(filter.status.map(Status::as_str))
        .bind(filter.account.as_deref())
        .bind(filter.before.as_deref())
        // One more than asked for tells whether there is a next page.
        .bind(i64::from(limit) + 1)
        .fetch_all(&self.readers)
        .await?;
        let next_cursor = cut(&mut rows, limit).map(|row| row.job.id.clone());
        let items = rows.into_iter().map(AccountRow::into_job);
        Ok(Page {
            items: items.collect::<Result<_, _>>()?,
            next_cursor,
        })
    }

    /// Any account's job, with its images.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn any_job(
        &self,
        id: &str,
        addresses: &Addresses,
    ) -> Result<Option<AccountJob>, DatabaseError> {
        let row: Option<AccountRow> = sqlx::query_as("SELECT * FROM jobs WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.readers)
            .await?;
        let Some(mut job) = row.map(AccountRow::into_job).transpose()? else {
            return Ok(None);
        };
        // Whoever owns it sees its images.
        if let Some(whole) = self.job(&job.account, id, addresses).await? {
            job.job.images = whole.job.images;
        }
        Ok(Some(job))
    }

    /// Cancels any account's job, for all who share it. Who runs it finds out with its next step.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn cancel_any(&self, id: &str, now: UnixMillis) -> Result<Changed, DatabaseError> {
        let mut transaction = self.write().await?;
        let Some(found) = lock(&mut transaction, id).await? else {
            return Ok(Changed::Unknown);
        };
        if found.is_final() {
            return Ok(Changed::Status(found));
        }
        outcome::end(&mut transaction, id, Status::Canceled, None, now).await?;
        transaction.commit().await?;
        Ok(Changed::Done)
    }

    /// Queues a job again that has failed or was canceled, in its old place, with all its tries
    /// before it and no deadline: whoever says so wants it made. How it ends is told again, as
    /// another event.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn retry_any(&self, id: &str, now: UnixMillis) -> Result<Changed, DatabaseError> {
        let mut transaction = self.write().await?;
        let Some(found) = lock(&mut transaction, id).await? else {
            return Ok(Changed::Unknown);
        };
        if !matches!(found, Status::Failed | Status::Canceled) {
            return Ok(Changed::Status(found));
        }
        let row: JobRow = sqlx::query_as("SELECT * FROM jobs WHERE id = $1")
            .bind(id)
            .fetch_one(&mut *transaction)
            .await?;
        if row.into_stored()?.job.recipe.init_image.is_some() {
            return Ok(Changed::StartGone);
        }
        sqlx::query(
            "UPDATE jobs SET status = 'queued', attempts = 0, run_after = 0, step = 0,
                    lease_holder = NULL, lease_until = NULL, started_at = NULL,
                    finished_at = NULL, error_code = NULL, error_message = NULL,
                    deadline = NULL, has_history = 1
             WHERE id = $1",
        )
        .bind(id)
        .execute(&mut *transaction)
        .await?;
        // First, so that no number is given twice.
        events::append(&mut transaction, id, Status::Queued.as_str(), now).await?;
        // Who reads the events would stop at the end that was none.
        sqlx::query("DELETE FROM job_events WHERE job_id = $1 AND name IN ('failed', 'canceled')")
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        outbox::forget(&mut transaction, id).await?;
        transaction.commit().await?;
        Ok(Changed::Done)
    }
}

/// A job's status, which no other transaction changes until this one is through.
async fn lock(connection: &mut Connection, id: &str) -> Result<Option<Status>, DatabaseError> {
    let name: Option<String> =
        sqlx::query_scalar("UPDATE jobs SET token = token WHERE id = $1 RETURNING status")
            .bind(id)
            .fetch_optional(connection)
            .await?;
    name.map(|name| Status::parse(&name).ok_or_else(|| unreadable("status")))
        .transpose()
}

#[cfg(test)]
mod tests {
    use sqlx::AssertSqlSafe;

    use super::*;
    use crate::database::Address;

    #[tokio::test]
    async fn the_queues_depth_is_asked_of_unfinished_jobs_alone() {
        let folder = tempfile::tempdir().expect("folder");
        let address = Address::file(folder.path().join("darkroom.db"));
        let database = Database::open(&address).await.expect("opened");
        let plan = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {DEPTH}"));
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(plan)
            .fetch_all(&database.readers)
            .await
            .expect("a plan");
        let looks = plan.iter().map(|(.., step)| step.as_str());
        let looks: Vec<_> = looks.filter(|step| step.contains(" jobs")).collect();
        assert!(looks.len() == 2, "{plan:?}");
        assert!(
            looks.iter().all(|look| look.contains(" INDEX jobs_")),
            "{plan:?}"
        );
        database.close().await;
    }
}
