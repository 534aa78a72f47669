//! Accounts that share a job which another account's request began.

use darkroom_shared::job::Status;
use darkroom_shared::timestamp::UnixMillis;

use super::outcome::{Ended, end};
use super::{Database, DatabaseError, outbox};

/// What came of an account's giving a job up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenUp {
    /// It was the last one: nobody wants the job any more. Whether that ended it, or it had ended.
    ByAll(Ended),
    /// Others still want it.
    ByOne,
}

impl Database {
    /// Lets an account see a job as its own, and be told at `webhook_url` how it ends. False where
    /// there is no such job, or one whose pictures are not public.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn add_reader(
        &self,
        job: &str,
        account: &str,
        task_id: Option<&str>,
        webhook_url: Option<&str>,
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
        if let (true, Some(url)) = (is_public, webhook_url) {
            // Who ends the job now waits, and finds this; or it has ended, and is told of at once.
            let status: String = sqlx::query_scalar(
                "UPDATE jobs SET account = account WHERE id = $1 RETURNING status",
            )
            .bind(job)
            .fetch_one(&mut *transaction)
            .await?;
            outbox::subscribe(&mut transaction, job, account, url).await?;
            if Status::parse(&status).is_some_and(Status::is_final) {
                outbox::put(&mut transaction, job).await?;
            }
        }
        transaction.commit().await?;
        Ok(is_public)
    }

    /// Takes a job from an account that gives it up. Where another wants it still the job is that
    /// one's then, and goes on; else it is canceled, and who runs it finds out at its next step.
    /// All in one transaction: nobody can join what is about to end, and one who is no longer
    /// the owner ends nothing.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn give_up(
        &self,
        job: &str,
        account: &str,
        now: UnixMillis,
    ) -> Result<GivenUp, DatabaseError> {
        let mut transaction = self.write().await?;
        // Nothing is changed but that who gives it up next has to wait.
        sqlx::query("UPDATE jobs SET account = account WHERE id = $1")
            .bind(job)
            .execute(&mut *transaction)
            .await?;
        let owned: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM jobs WHERE id = $1 AND account = $2")
                .bind(job)
                .bind(account)
                .fetch_one(&mut *transaction)
                .await?;
        let is_owner = owned == 1;
        // An owner gives way to an heir, who is a reader no more; any other to nobody.
        let left: Option<(String, Option<String>)> = sqlx::query_as(
            "DELETE FROM job_readers WHERE job_id = $1 AND account = CASE WHEN $3
                THEN (SELECT MIN(account) FROM job_readers WHERE job_id = $1) ELSE $2 END
             RETURNING account, task_id",
        )
        .bind(job)
        .bind(account)
        .bind(is_owner)
        .fetch_optional(&mut *transaction)
        .await?;
        let given_up = match left {
            Some((heir, task_id)) if is_owner => {
                sqlx::query("UPDATE jobs SET account = $1, task_id = $2 WHERE id = $3")
                    .bind(heir)
                    .bind(task_id)
                    .bind(job)
                    .execute(&mut *transaction)
                    .await?;
                GivenUp::ByOne
            }
            None if is_owner => {
                GivenUp::ByAll(end(&mut transaction, job, Status::Canceled, None, now).await?)
            }
            _ => GivenUp::ByOne,
        };
        if given_up == GivenUp::ByOne {
            outbox::unsubscribe(&mut transaction, job, account).await?;
        }
        transaction.commit().await?;
        Ok(given_up)
    }
}
