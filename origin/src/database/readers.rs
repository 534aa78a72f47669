//! Accounts that share a job which another account's request began.

use darkroom_shared::job::Status;
use darkroom_shared::priority::Priority;
use darkroom_shared::timestamp::UnixMillis;
use sqlx::AssertSqlSafe;

use super::connection::{Connection, Transaction};
use super::joining::NAMED;
use super::outcome::{Ended, end};
use super::rows::unreadable;
use super::{Database, DatabaseError, outbox, turns};

/// What came of an account's giving a job up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenUp {
    /// It was the last one: nobody wants the job any more. Whether that ended it, or it had ended.
    ByAll(Ended),
    /// Others still want it.
    ByOne,
}

/// An account that is to share a job.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reader<'a> {
    /// Whose name it has.
    pub account: &'a str,
    /// Its own label.
    pub task_id: Option<&'a str>,
    /// Where it is told how the job ends.
    pub webhook_url: Option<&'a str>,
    /// How a job of its own would stand beside others.
    pub priority: Priority,
}

/// A job that no other transaction changes until this one is through.
pub(super) struct Shared {
    id: String,
    account: String,
    pub status: Status,
    turn: i64,
    /// Steps, each times its pixels.
    work: i64,
}

pub(super) async fn lock(
    connection: &mut Connection,
    job: &str,
) -> Result<Option<Shared>, DatabaseError> {
    let row: Option<(String, String, i64, i64)> = sqlx::query_as(
        "UPDATE jobs SET account = account WHERE id = $1
         RETURNING account, status, turn, steps * pixels",
    )
    .bind(job)
    .fetch_optional(connection)
    .await?;
    let Some((account, status, turn, work)) = row else {
        return Ok(None);
    };
    Ok(Some(Shared {
        id: job.to_owned(),
        account,
        status: Status::parse(&status).ok_or_else(|| unreadable("status"))?,
        turn,
        work,
    }))
}

/// A job that an account would have had made sooner for itself is made as soon as that, and counts
/// as the account's: else others' jobs could be brought forward for nothing.
async fn bring_forward(
    connection: &mut Connection,
    job: &Shared,
    reader: &Reader<'_>,
) -> Result<(), DatabaseError> {
    let turn = turns::next(connection, reader.account, reader.priority, job.work).await?;
    if turn.start >= job.turn {
        return Ok(());
    }
    sqlx::query("UPDATE jobs SET turn = $1 WHERE id = $2")
        .bind(turn.start)
        .bind(&job.id)
        .execute(&mut *connection)
        .await?;
    let counts = if job.account == reader.account {
        "UPDATE jobs SET turn_end = $1, priority = $2 WHERE id = $3 AND account = $4"
    } else {
        "UPDATE job_readers SET turn_end = $1, priority = $2 WHERE job_id = $3 AND account = $4"
    };
    sqlx::query(counts)
        .bind(turn.end)
        .bind(reader.priority.as_str())
        .bind(&job.id)
        .bind(reader.account)
        .execute(connection)
        .await?;
    Ok(())
}

impl Database {
    /// Lets an account see a job as its own. False where there is no such job, one whose pictures
    /// are not public, or one that all others have given up.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn add_reader(&self, job: &str, reader: &Reader<'_>) -> Result<bool, DatabaseError> {
        let mut transaction = self.write().await?;
        let public: Option<String> = sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT job_id FROM images WHERE job_id = {NAMED}
             GROUP BY job_id HAVING MIN(visibility) = 'public' AND MAX(visibility) = 'public'"
        )))
        .bind(job)
        .fetch_optional(&mut *transaction)
        .await?;
        let shared = match public {
            Some(job) => lock(&mut transaction, &job).await?,
            None => None,
        };
        let shared = shared.filter(|shared| shared.status != Status::Canceled);
        if let Some(shared) = &shared {
            self.share(&mut transaction, shared, reader).await?;
        }
        transaction.commit().await?;
        Ok(shared.is_some())
    }

    /// Has an account share a job: it is told of its end, and waits for it no longer than for one
    /// of its own.
    pub(super) async fn share(
        &self,
        transaction: &mut Transaction,
        job: &Shared,
        reader: &Reader<'_>,
    ) -> Result<(), DatabaseError> {
        if job.account != reader.account {
            sqlx::query(
                "INSERT INTO job_readers (job_id, account, task_id) VALUES ($1, $2, $3)
                 ON CONFLICT (job_id, account) DO UPDATE SET task_id = excluded.task_id",
            )
            .bind(&job.id)
            .bind(reader.account)
            .bind(reader.task_id)
            .execute(&mut **transaction)
            .await?;
        }
        if job.status == Status::Queued {
            // As for a job that is accepted.
            self.lock(transaction, reader.account).await?;
            bring_forward(transaction, job, reader).await?;
        }
        if let Some(url) = reader.webhook_url {
            outbox::subscribe(transaction, &job.id, reader.account, url).await?;
            if job.status.is_final() {
                // Who ended it did not find this: it is told of at once.
                outbox::put(transaction, &job.id).await?;
            }
        }
        Ok(())
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
        // An owner gives way to an heir, who is a reader no more; any other to nobody. The turn goes
        // on counting for whom it was brought forward, if for anybody.
        let left: Option<(String, Option<String>, String, i64)> = sqlx::query_as(
            "DELETE FROM job_readers WHERE job_id = $1 AND account = CASE WHEN $3
                THEN (SELECT MIN(account) FROM job_readers WHERE job_id = $1) ELSE $2 END
             RETURNING account, task_id, priority, turn_end",
        )
        .bind(job)
        .bind(account)
        .bind(is_owner)
        .fetch_optional(&mut *transaction)
        .await?;
        let given_up = match left {
            Some((heir, task_id, priority, turn_end)) if is_owner => {
                sqlx::query(
                    "UPDATE jobs SET account = $1, task_id = $2, priority = $3, turn_end = $4
                     WHERE id = $5",
                )
                .bind(heir)
                .bind(task_id)
                .bind(priority)
                .bind(turn_end)
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
