//! Jobs whose time is over.

use darkroom_shared::job::{JobError, Status};
use darkroom_shared::problem::Code;
use darkroom_shared::timestamp::UnixMillis;
use sqlx::AssertSqlSafe;

use super::{Database, DatabaseError, outcome};

const OVERDUE: &str = "SELECT id FROM jobs
    WHERE deadline IS NOT NULL AND status IN ('queued', 'running') AND deadline <= $1";

impl Database {
    /// Fails the jobs that have not ended by their deadlines; which those are. `now` is
    /// [`Database::now`]'s.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn end_overdue(&self, now: UnixMillis) -> Result<Vec<String>, DatabaseError> {
        let any: Option<String> = sqlx::query_scalar(OVERDUE)
            .bind(now)
            .fetch_optional(&self.readers)
            .await?;
        if any.is_none() {
            return Ok(Vec::new());
        }
        let statement = format!("{OVERDUE} {}", self.dialect.skip_locked());
        let mut transaction = self.write().await?;
        let overdue: Vec<String> = sqlx::query_scalar(AssertSqlSafe(statement))
            .bind(now)
            .fetch_all(&mut *transaction)
            .await?;
        let error = JobError {
            code: Code::DeadlineMissed,
            message: "the pictures were not done by the deadline".to_owned(),
        };
        for job in &overdue {
            let status = Status::Failed;
            outcome::end(&mut transaction, job, status, Some(&error), now).await?;
        }
        transaction.commit().await?;
        Ok(overdue)
    }
}
