//! What is to be told of jobs that have ended: written down with the end, claimed on a lease, and
//! recorded. All moments but an event's own are [`Database::now`]'s.

use std::collections::HashMap;
use std::time::Duration;

use darkroom_shared::timestamp::UnixMillis;
use darkroom_shared::webhook::{AttemptError, State};
use sqlx::AssertSqlSafe;
use url::Url;
use uuid::Uuid;

use super::connection::Connection;
use super::{Database, DatabaseError};

/// A delivery that was claimed.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct DueDelivery {
    /// The event's id.
    pub id: String,
    /// Whose it is.
    pub account: String,
    /// The job that has ended.
    pub job_id: String,
    /// Where the receiver takes it.
    pub url: String,
    /// The receiver itself: a server's host and port.
    pub receiver: String,
    /// When the job ended.
    pub created_at: UnixMillis,
    /// Which attempt this is, from 1.
    #[sqlx(try_from = "i64")]
    pub attempts: u32,
    /// Until when the claim holds; each has another.
    due_at: UnixMillis,
}

/// What follows from an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver has it.
    Delivered,
    /// It is tried again after this long.
    Again(Duration),
    /// The same, and nothing else goes there before.
    Later(Duration),
    /// It is not tried again.
    Failed,
    /// The receiver wants no more: neither this one nor any other of the account's.
    Disabled,
}

/// Whom to tell how a job ends, where an account wants to be told.
pub(super) async fn subscribe(
    connection: &mut Connection,
    job: &str,
    account: &str,
    url: &str,
) -> Result<(), DatabaseError> {
    sqlx::query(
        "INSERT INTO job_webhooks (job_id, account, url) VALUES ($1, $2, $3)
         ON CONFLICT (job_id, account) DO UPDATE SET url = excluded.url",
    )
    .bind(job)
    .bind(account)
    .bind(url)
    .execute(connection)
    .await?;
    Ok(())
}

/// An account that gives a job up does not want to be told of it.
pub(super) async fn unsubscribe(
    connection: &mut Connection,
    job: &str,
    account: &str,
) -> Result<(), DatabaseError> {
    sqlx::query("DELETE FROM job_webhooks WHERE job_id = $1 AND account = $2")
        .bind(job)
        .bind(account)
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes down that all who want to know are to be told of a job's end, which is on record in this
/// transaction; once each, however often this is called.
pub(super) async fn put(connection: &mut Connection, job: &str) -> Result<(), DatabaseError> {
    let told: Vec<(String, String)> =
        sqlx::query_as("SELECT account, url FROM job_webhooks WHERE job_id = $1")
            .bind(job)
            .fetch_all(&mut *connection)
            .await?;
    for (account, url) in told {
        sqlx::query(
            "INSERT INTO webhook_deliveries
                 (id, job_id, account, url, receiver, status, state, created_at, due_at)
             SELECT $1, jobs.id, job_webhooks.account, job_webhooks.url, $4, jobs.status,
                    CASE WHEN EXISTS
                        (SELECT 1 FROM webhook_disabled
                         WHERE webhook_disabled.account = job_webhooks.account
                           AND webhook_disabled.url = job_webhooks.url)
                    THEN 'disabled' ELSE 'pending' END, jobs.finished_at, 0
             FROM job_webhooks JOIN jobs ON jobs.id = job_webhooks.job_id
             WHERE job_webhooks.job_id = $2 AND job_webhooks.account = $3
             ON CONFLICT (job_id, account) DO NOTHING",
        )
        .bind(format!("msg_{}", Uuid::now_v7().simple()))
        .bind(job)
        .bind(account)
        .bind(receiver(&url))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Forgets what was to be told of a job's end, and was told, since it was none.
pub(super) async fn forget(connection: &mut Connection, job: &str) -> Result<(), DatabaseError> {
    sqlx::query("DELETE FROM webhook_deliveries WHERE job_id = $1")
        .bind(job)
        .execute(connection)
        .await?;
    Ok(())
}

/// The server at an address.
fn receiver(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    Some(format!(
        "{}:{}",
        url.host_str()?,
        url.port_or_known_default()?
    ))
}

impl Database {
    /// Claims up to `most` deliveries that are due, for `lease` from `now`: those are due again
    /// then, unless what came of them is recorded. What was never tried comes first, so that
    /// receivers that are away keep no others waiting; and of each receiver's no more than `each`,
    /// with those that are `at_work`.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn claim_deliveries(
        &self,
        most: usize,
        each: usize,
        at_work: &HashMap<String, usize>,
        lease: Duration,
        now: UnixMillis,
    ) -> Result<Vec<DueDelivery>, DatabaseError> {
        // Most looks find nothing, and need no writer.
        let due: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM webhook_deliveries WHERE state = 'pending' AND due_at <= $1 LIMIT 1",
        )
        .bind(now)
        .fetch_optional(&self.readers)
        .await?;
        if due.is_none() {
            return Ok(Vec::new());
        }
        let statement = format!(
            "WITH in_line AS
                 (SELECT sequence AS waiting, {RECEIVER} AS receiver, ROW_NUMBER() OVER
                      (PARTITION BY {RECEIVER} ORDER BY attempts, due_at, sequence) AS place
                  FROM webhook_deliveries WHERE state = 'pending' AND due_at <= $2),
             due AS MATERIALIZED
                 (SELECT sequence FROM webhook_deliveries
                  WHERE state = 'pending' AND due_at <= $2
                    AND sequence IN (SELECT waiting FROM in_line WHERE place <= {})
                  ORDER BY attempts, due_at, sequence LIMIT $3 {})
             UPDATE webhook_deliveries SET due_at = $1, attempts = attempts + 1
             WHERE sequence IN (SELECT sequence FROM due)
             RETURNING id, account, job_id, url, {RECEIVER} AS receiver, created_at, attempts,
                 due_at",
            room(at_work.len()),
            self.dialect.skip_locked()
        );
        let mut transaction = self.write().await?;
        let mut query = sqlx::query_as(AssertSqlSafe(statement))
            .bind(now + lease.as_millis() as i64)
            .bind(now)
            .bind(most as i64)
            .bind(each as i64);
        for (receiver, at_work) in at_work {
            let left = each.saturating_sub(*at_work);
            query = query.bind(receiver).bind(left as i64);
        }
        let claimed = query.fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(claimed)
    }

    /// Records what came of an attempt. Where somebody else has claimed the delivery since, or its
    /// owner wants it sent again, only a success decides.
    ///
    /// # Errors
    /// [`DatabaseError::Query`]; it is tried again then, when the claim's lease is over.
    pub async fn record_attempt(
        &self,
        delivery: &DueDelivery,
        status: Option<u16>,
        error: Option<AttemptError>,
        verdict: Verdict,
        now: UnixMillis,
    ) -> Result<(), DatabaseError> {
        let (state, due_at) = match verdict {
            Verdict::Delivered => (State::Delivered, now),
            Verdict::Again(pause) | Verdict::Later(pause) => {
                (State::Pending, now + pause.as_millis() as i64)
            }
            Verdict::Failed => (State::Failed, now),
            Verdict::Disabled => (State::Disabled, now),
        };
        let mut transaction = self.write().await?;
        sqlx::query(
            "UPDATE webhook_deliveries SET state = $1, due_at = $2
             WHERE id = $3 AND state = 'pending' AND (due_at = $4 OR $1 = 'delivered')",
        )
        .bind(state.as_str())
        .bind(due_at)
        .bind(&delivery.id)
        .bind(delivery.due_at)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "INSERT INTO webhook_attempts (delivery_id, number, at, status, error)
             SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3, $4
             FROM webhook_attempts WHERE delivery_id = $1",
        )
        .bind(&delivery.id)
        .bind(now)
        .bind(status.map(i64::from))
        .bind(error.map(AttemptError::as_str))
        .execute(&mut *transaction)
        .await?;
        match verdict {
            Verdict::Delivered => enable(&mut transaction, delivery).await?,
            Verdict::Disabled => disable(&mut transaction, delivery, now).await?,
            Verdict::Later(_) => put_off(&mut transaction, delivery, due_at, now).await?,
            Verdict::Again(_) | Verdict::Failed => {}
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Takes back that a claimed delivery was tried, where it could not be: it is claimed again when
    /// the claim's lease is over.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn not_tried(&self, delivery: &DueDelivery) -> Result<(), DatabaseError> {
        let mut transaction = self.write().await?;
        sqlx::query(
            "UPDATE webhook_deliveries SET attempts = attempts - 1
             WHERE id = $1 AND state = 'pending' AND due_at = $2 AND attempts > 0",
        )
        .bind(&delivery.id)
        .bind(delivery.due_at)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Has one of an account's deliveries tried again at once, under its id, as often as a new one;
    /// even to a receiver that wanted no more. False where there is no such delivery.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn resend(&self, account: &str, id: &str) -> Result<bool, DatabaseError> {
        let mut transaction = self.write().await?;
        let updated = sqlx::query(
            "UPDATE webhook_deliveries SET state = 'pending', due_at = 0, attempts = 0
             WHERE id = $1 AND account = $2",
        )
        .bind(id)
        .bind(account)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(updated.rows_affected() == 1)
    }
}

const RECEIVER: &str = "COALESCE(receiver, url)";

/// How many more of a receiver's may be begun: `$4`, or less for so many that are at work.
fn room(at_work: usize) -> String {
    if at_work == 0 {
        return "$4".to_owned();
    }
    let busy = (0..at_work).map(|place| format!("WHEN ${} THEN ${}", 5 + 2 * place, 6 + 2 * place));
    let busy: Vec<String> = busy.collect();
    format!("CASE receiver {} ELSE $4 END", busy.join(" "))
}

/// A receiver that wants to be left alone is not told the account's other events meanwhile. What is
/// just being tried goes on.
async fn put_off(
    connection: &mut Connection,
    delivery: &DueDelivery,
    due_at: UnixMillis,
    now: UnixMillis,
) -> Result<(), DatabaseError> {
    sqlx::query(
        "UPDATE webhook_deliveries SET due_at = $1
         WHERE account = $2 AND url = $3 AND state = 'pending' AND due_at <= $4",
    )
    .bind(due_at)
    .bind(&delivery.account)
    .bind(&delivery.url)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// A receiver that takes an event takes others.
async fn enable(connection: &mut Connection, delivery: &DueDelivery) -> Result<(), DatabaseError> {
    sqlx::query("DELETE FROM webhook_disabled WHERE account = $1 AND url = $2")
        .bind(&delivery.account)
        .bind(&delivery.url)
        .execute(connection)
        .await?;
    Ok(())
}

async fn disable(
    connection: &mut Connection,
    delivery: &DueDelivery,
    now: UnixMillis,
) -> Result<(), DatabaseError> {
    sqlx::query(
        "INSERT INTO webhook_disabled (account, url, since) VALUES ($1, $2, $3)
         ON CONFLICT (account, url) DO NOTHING",
    )
    .bind(&delivery.account)
    .bind(&delivery.url)
    .bind(now)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE webhook_deliveries SET state = 'disabled'
         WHERE account = $1 AND url = $2 AND state = 'pending'",
    )
    .bind(&delivery.account)
    .bind(&delivery.url)
    .execute(connection)
    .await?;
    Ok(())
}
