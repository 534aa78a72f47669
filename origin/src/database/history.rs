//! What nobody asks for any more: the steps of jobs that ended long ago, and what was told of them.

use darkroom_shared::timestamp::UnixMillis;
use sqlx::AssertSqlSafe;

use super::rows::places;
use super::{Database, DatabaseError};

/// All but a job's last event, which is its end: who still follows it is told so.
const EVENTS: &str = "DELETE FROM job_events WHERE number <
    (SELECT MAX(number) FROM job_events AS others WHERE others.job_id = job_events.job_id)";
/// One that is to be sent again since the job was looked at stays.
const DELIVERIES: &str = "DELETE FROM webhook_deliveries WHERE state <> 'pending'";
/// Jobs whose history is to be forgotten, where they ended before `$1`.
const OLD: &str = "SELECT id FROM jobs WHERE has_history = 1 AND finished_at < $1 AND NOT EXISTS
    (SELECT 1 FROM webhook_deliveries
     WHERE webhook_deliveries.job_id = jobs.id AND webhook_deliveries.state = 'pending')
    ORDER BY finished_at";

impl Database {
    /// Forgets the history of up to `most` jobs that ended before a moment: their events but for the
    /// last, and what came of their webhooks. Jobs of which somebody is still to be told are left
    /// alone. How many there were.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn forget_history(
        &self,
        ended_before: UnixMillis,
        most: u32,
    ) -> Result<usize, DatabaseError> {
        // Most looks find nothing, and need no writer.
        let found: Option<String> = sqlx::query_scalar(AssertSqlSafe(format!("{OLD} LIMIT 1")))
            .bind(ended_before)
            .fetch_optional(&self.readers)
            .await?;
        if found.is_none() {
            return Ok(0);
        }
        let mut transaction = self.write().await?;
        let statement = format!(
            "UPDATE jobs SET has_history = 0 WHERE id IN ({OLD} LIMIT $2 {}) RETURNING id",
            self.dialect.skip_locked()
        );
        let jobs: Vec<String> = sqlx::query_scalar(AssertSqlSafe(statement))
            .bind(ended_before)
            .bind(i64::from(most))
            .fetch_all(&mut *transaction)
            .await?;
        if jobs.is_empty() {
            return Ok(0);
        }
        for delete in [EVENTS, DELIVERIES] {
            let statement = format!("{delete} AND job_id IN ({})", places(jobs.len()));
            let mut query = sqlx::query(AssertSqlSafe(statement));
            for job in &jobs {
                query = query.bind(job);
            }
            query.execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(jobs.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Address;

    #[tokio::test]
    async fn old_jobs_are_found_among_those_that_have_a_history() {
        let folder = tempfile::tempdir().expect("folder");
        let address = Address::file(folder.path().join("darkroom.db"));
        let database = Database::open(&address).await.expect("opened");
        let plan = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {OLD} LIMIT 1"));
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(plan)
            .bind(0)
            .fetch_all(&database.readers)
            .await
            .expect("a plan");
        let is_found = |(.., step): &(_, _, _, String)| step.contains("jobs_with_history");
        assert!(plan.iter().any(is_found), "{plan:?}");
        database.close().await;
    }
}
