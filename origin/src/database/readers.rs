//! Accounts that share a job which another account's request began.

use super::{Database, DatabaseError};

/// What came of an account's giving a job up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenUp {
    /// It was the last one: nobody wants the job any more.
    ByAll,
    /// Others still want it.
    ByOne,
}

impl Database {
    /// Lets an account see a job as its own. False where there is no such job, or one whose
    /// pictures are not public.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn add_reader(
        &self,
        job: &str,
        account: &str,
        task_id: Option<&str>,
    ) -> Result<bool, DatabaseError> {
        let mut transaction = self.write().await?;
        let public: Option<i64> = sqlx::query_scalar(
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM images WHERE job_id = $1) AND NOT EXISTS
                (SELECT 1 FROM images WHERE job_id = $1 AND visibility <> 'public')",
        )
        .bind(job)
        .fetch_optional(&mut *transaction)
        .await?;
        let is_public = public.is_some();
        if is_public {
            sqlx::query(
                "INSERT INTO job_readers (job_id, account, task_id)
                 SELECT id, $2, $3 FROM jobs WHERE id = $1 AND account <> $2
                 ON CONFLICT (job_id, account) DO UPDATE SET task_id = excluded.task_id",
            )
            .bind(job)
            .bind(account)
            .bind(task_id)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(is_public)
    }

    /// Takes a job from an account that gives it up, where another wants it still: the job is
    /// that one's then, and goes on.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn give_up(&self, job: &str, account: &str) -> Result<GivenUp, DatabaseError> {
        let mut transaction = self.write().await?;
        // Nothing is changed but that who gives it up next has to wait.
        sqlx::query("UPDATE jobs SET account = account WHERE id = $1")
            .bind(job)
            .execute(&mut *transaction)
            .await?;
        let left = sqlx::query("DELETE FROM job_readers WHERE job_id = $1 AND account = $2")
            .bind(job)
            .bind(account)
            .execute(&mut *transaction)
            .await?;
        if left.rows_affected() == 0 {
            let heir: Option<(String, Option<String>)> = sqlx::query_as(
                "DELETE FROM job_readers WHERE job_id = $1 AND account =
                    (SELECT MIN(account) FROM job_readers WHERE job_id = $1)
                 RETURNING account, task_id",
            )
            .bind(job)
            .fetch_optional(&mut *transaction)
            .await?;
            let Some((heir, task_id)) = heir else {
                return Ok(GivenUp::ByAll);
            };
            sqlx::query("UPDATE jobs SET account = $1, task_id = $2 WHERE id = $3")
                .bind(heir)
                .bind(task_id)
                .bind(job)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(GivenUp::ByOne)
    }
}
