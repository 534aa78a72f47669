//! Whose turn it is: start-time fair queueing (Goyal, Vin and Cheng, 1996).
//!
//! A job's turn is where the account's last one ends, or where the queue stands by now, whichever
//! is later; it ends as much further on as the job is work. So an account that hands in a hundred
//! jobs has them in a row, and another's first job comes right after those that are being made. A
//! priority is a weight: nothing waits for ever.

use darkroom_shared::priority::Priority;
use darkroom_shared::timestamp::UnixMillis;

use super::connection::Connection;
use super::{Database, DatabaseError};

/// A job's part of the queue's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub start: i64,
    pub end: i64,
}

/// How far a job of so much work goes in the order of turns.
const fn length(priority: Priority, pixel_steps: i64) -> i64 {
    pixel_steps
        * match priority {
            Priority::Low => 16,
            Priority::Normal => 4,
            Priority::High => 1,
        }
}

/// The turn that an account's next job would have. Jobs of different priorities do not wait for
/// each other, even of one account. A job of another's that was brought forward for the account is
/// one of its own here.
pub(super) async fn next(
    connection: &mut Connection,
    account: &str,
    priority: Priority,
    pixel_steps: i64,
) -> Result<Turn, DatabaseError> {
    // What was taken up last says where the queue stands, and goes on saying it when it is empty.
    let start: i64 = sqlx::query_scalar(
        "SELECT MAX(turn) FROM (
            SELECT COALESCE(MAX(turn), 0) AS turn FROM jobs WHERE started_at IS NOT NULL
            UNION ALL
            SELECT COALESCE(MAX(turn_end), 0) FROM jobs WHERE account = $1 AND priority = $2
            UNION ALL
            SELECT COALESCE(MAX(turn_end), 0) FROM job_readers
            WHERE account = $1 AND priority = $2 AND turn_end > 0) AS turns",
    )
    .bind(account)
    .bind(priority.as_str())
    .fetch_one(connection)
    .await?;
    Ok(Turn {
        start,
        end: start + length(priority, pixel_steps),
    })
}

/// Whose turn it is among accounts with fewer than `limit` jobs at work.
///
/// First among the jobs at the head of the queue; where all of those must wait, by a look at the
/// first of each account, since one that must wait may have any number of jobs.
pub(super) async fn account(
    connection: &mut Connection,
    limit: u32,
    now: UnixMillis,
) -> Result<Option<String>, DatabaseError> {
    for statement in [AT_THE_HEAD, OF_EACH_ACCOUNT] {
        let account: Option<String> = sqlx::query_scalar(statement)
            .bind(i64::from(limit))
            .bind(now)
            .fetch_optional(&mut *connection)
            .await?;
        if account.is_some() {
            return Ok(account);
        }
    }
    Ok(None)
}

const AT_THE_HEAD: &str = "
    SELECT account FROM (SELECT account, turn, sequence, run_after FROM jobs
                         WHERE status = 'queued' ORDER BY turn, sequence LIMIT 100) AS head
    WHERE run_after <= $2 AND account NOT IN
        (SELECT account FROM jobs WHERE status = 'running' GROUP BY account
         HAVING COUNT(*) >= $1)
    ORDER BY turn, sequence LIMIT 1";

/// From one account to the next by the index, and not from one job to the next. It is ordered as the
/// index of waiting jobs is: a lowest account would also be looked for among all jobs that ever were.
const OF_EACH_ACCOUNT: &str = "
    WITH RECURSIVE waiting (account) AS (
        SELECT (SELECT account FROM jobs WHERE status = 'queued'
                ORDER BY account, turn, sequence LIMIT 1)
        UNION ALL
        SELECT (SELECT account FROM jobs
                WHERE status = 'queued' AND jobs.account > waiting.account
                ORDER BY account, turn, sequence LIMIT 1)
        FROM waiting WHERE waiting.account IS NOT NULL),
    firsts AS MATERIALIZED (
        SELECT account, (SELECT turn FROM jobs
                         WHERE status = 'queued' AND jobs.account = waiting.account
                           AND run_after <= $2
                         ORDER BY turn, sequence LIMIT 1) AS first_turn
        FROM waiting
        WHERE account IS NOT NULL AND account NOT IN
            (SELECT account FROM jobs WHERE status = 'running' GROUP BY account
             HAVING COUNT(*) >= $1))
    SELECT account FROM firsts WHERE first_turn IS NOT NULL ORDER BY first_turn LIMIT 1";

impl Database {
    /// Where an account's next job would have its turn.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn next_turn(&self, account: &str, priority: Priority) -> Result<i64, DatabaseError> {
        let mut connection = self.readers.acquire().await?;
        Ok(next(&mut connection, account, priority, 0).await?.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_weighs_what_it_says() {
        let of = |priority| length(priority, 100);
        assert_eq!(of(Priority::Low), 4 * of(Priority::Normal));
        assert_eq!(of(Priority::Normal), 4 * of(Priority::High));
    }
}
