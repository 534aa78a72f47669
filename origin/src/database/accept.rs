//! Accepting a job: it, its images, what they begin with, and its first event in one transaction.

use darkroom_shared::job::Status;
use darkroom_shared::priority::Priority;
use darkroom_shared::recipe::Recipe;
use darkroom_shared::request::Visibility;
use darkroom_shared::timestamp::UnixMillis;
use darkroom_shared::trace::TraceParent;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::connection::Connection;
use super::joining::{Joined, NAMED};
use super::{Database, DatabaseError, events, outbox, starts, turns};
use crate::engine::Start;

/// A job to be accepted.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub account: String,
    /// The caller's label.
    pub task_id: Option<String>,
    /// The recipe of its first image.
    pub recipe: Recipe,
    /// The image that it makes anew, which the account may see.
    pub previous: Option<String>,
    /// Who may fetch its images.
    pub visibility: Visibility,
    /// Its images, in order.
    pub images: Vec<NewImage>,
    /// What they begin with other than noise.
    pub start: Option<Start>,
    /// Previews of each image.
    pub previews: u32,
    /// How it stands beside others.
    pub priority: Priority,
    /// Whom to tell how it ends.
    pub webhook_url: Option<String>,
    /// When its pictures are of no more use, by [`Database::now`].
    pub deadline: Option<UnixMillis>,
    /// Where its spans go on.
    pub trace: Option<TraceParent>,
    /// When it is accepted.
    pub now: UnixMillis,
}

impl NewJob {
    /// Steps over all its images.
    #[must_use]
    pub fn steps(&self) -> u32 {
        self.recipe.steps_taken() * self.images.len() as u32
    }

    /// Pixels of each of them.
    #[must_use]
    pub fn pixels(&self) -> u64 {
        u64::from(self.recipe.width) * u64::from(self.recipe.height)
    }
}

/// An image of a job to be accepted.
#[derive(Clone, Debug)]
pub struct NewImage {
    /// Its id.
    pub id: Uuid,
    /// Its object name.
    pub key: String,
    /// The seed that makes it alone.
    pub seed: u64,
    /// The hash of its own recipe.
    pub recipe_sha256: String,
}

/// Whether a job was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It is in the queue.
    Accepted,
    /// It was there before, and was left as it is.
    Known,
    /// Another job makes what it would make, or has made it, and is its account's, too.
    Joined(Joined),
    /// Another account's job has this id.
    Anothers,
    /// Too many are waiting; nothing was recorded.
    QueueFull,
    /// Too many of its account are waiting; nothing was recorded.
    AccountFull,
}

/// How many jobs may wait; [`u32::MAX`] is any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// All together.
    pub all: u32,
    /// Those of one account.
    pub account: u32,
}

impl Room {
    /// Room for `all`, of which one account may take up `percent`: one job at least.
    #[must_use]
    pub fn shared(all: u32, percent: u32) -> Self {
        let account = (u64::from(all) * u64::from(percent)).div_ceil(100) as u32;
        Self {
            all,
            account: if account < all { account } else { u32::MAX },
        }
    }
}

impl From<u32> for Room {
    /// Room for so many, whoever's they are.
    fn from(all: u32) -> Self {
        let account = u32::MAX;
        Self { all, account }
    }
}

impl Database {
    /// Records a job and its images, unless it is on record, an equal one is, or there is no room.
    /// Origins that accept in the same moment may go beyond the limit, by one each.
    ///
    /// # Errors
    /// [`DatabaseError`]; nothing was recorded then.
    pub async fn accept(
        &self,
        job: &NewJob,
        room: impl Into<Room>,
    ) -> Result<Acceptance, DatabaseError> {
        let recipe = serde_json::to_string(&job.recipe).map_err(DatabaseError::Recipe)?;
        let id = job.id.to_string();
        let mut transaction = self.write().await?;
        if let Some(first) = job.images.first() {
            // Of equal ones that come in one moment, the first begins and the others find it.
            self.lock(&mut transaction, &first.recipe_sha256).await?;
        }
        if let Some(known) = known(&mut transaction, &id, &job.account).await? {
            return Ok(known);
        }
        if let Some(joined) = self.join(&mut transaction, job).await? {
            transaction.commit().await?;
            return Ok(Acceptance::Joined(joined));
        }
        let room = room.into();
        if is_full(&mut transaction, None, room.all).await? {
            return Ok(Acceptance::QueueFull);
        }
        if is_full(&mut transaction, Some(&job.account), room.account).await? {
            return Ok(Acceptance::AccountFull);
        }
        let pixels = job.pixels() as i64;
        // Calls of one moment, too, have their turns one after the other.
        self.lock(&mut transaction, &job.account).await?;
        let work = i64::from(job.steps()) * pixels;
        let turn = turns::next(&mut transaction, &job.account, job.priority, work).await?;
        let inserted = sqlx::query(
            "INSERT INTO jobs (id, account, task_id, status, recipe, steps, pixels, previews,
                               created_at, priority, turn, turn_end,
                               deadline, traceparent)
             VALUES ($1, $2, $3, 'queued', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (id) DO NOTHING",
        )
        .bind(&id)
        .bind(&job.account)
        .bind(&job.task_id)
        .bind(recipe)
        .bind(i64::from(job.steps()))
        .bind(pixels)
        .bind(i64::from(job.previews))
        .bind(job.now)
        .bind(job.priority.as_str())
        .bind(turn.start)
        .bind(turn.end)
        .bind(job.deadline)
        .bind(job.trace.map(|trace| trace.to_string()))
        .execute(&mut *transaction)
        .await?;
        if inserted.rows_affected() == 0 {
            // Another origin was asked for it at the same time, and was first.
            let known = known(&mut transaction, &id, &job.account).await?;
            return Ok(known.unwrap_or(Acceptance::Anothers));
        }
        for (position, image) in (0_i64..).zip(&job.images) {
            sqlx::query(
                "INSERT INTO images (id, job_id, position, object_key, seed, recipe_sha256,
                                     visibility, width, height, content_type, previous_id,
                                     lineage)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,
                         (SELECT COALESCE(lineage, id) FROM images WHERE id = $11))",
            )
            .bind(image.id.to_string())
            .bind(&id)
            .bind(position)
            .bind(&image.key)
            .bind(image.seed as i64)
            .bind(&image.recipe_sha256)
            .bind(job.visibility.as_str())
            .bind(i64::from(job.recipe.width))
            .bind(i64::from(job.recipe.height))
            .bind(job.recipe.format.content_type())
            .bind(&job.previous)
            .execute(&mut *transaction)
            .await?;
        }
        if let Some(start) = &job.start {
            starts::put(&mut transaction, &id, start).await?;
        }
        if let Some(url) = &job.webhook_url {
            outbox::subscribe(&mut transaction, &id, &job.account, url).await?;
        }
        events::append(&mut transaction, &id, Status::Queued.as_str(), job.now).await?;
        transaction.commit().await?;
        Ok(Acceptance::Accepted)
    }
}

/// Whether as many jobs are waiting as may: an account's, or all.
async fn is_full(
    connection: &mut Connection,
    account: Option<&str>,
    limit: u32,
) -> Result<bool, DatabaseError> {
    if limit == u32::MAX {
        return Ok(false);
    }
    // Of one account there is another index, which is taken for its order: there are also those of
    // all jobs that the account ever had.
    let of_account = account.map_or("", |_| "AND account = $2 ORDER BY turn");
    let statement = format!(
        "SELECT COUNT(*) FROM
            (SELECT 1 FROM jobs WHERE status = 'queued' {of_account} LIMIT $1) AS first_jobs"
    );
    let mut waiting = sqlx::query_scalar(AssertSqlSafe(statement)).bind(i64::from(limit));
    if let Some(account) = account {
        waiting = waiting.bind(account.to_owned());
    }
    let waiting: i64 = waiting.fetch_one(connection).await?;
    Ok(waiting >= i64::from(limit))
}

/// What an account is told of a job that is on record, or was handed in and joined another.
pub(super) async fn known(
    connection: &mut Connection,
    id: &str,
    account: &str,
) -> Result<Option<Acceptance>, DatabaseError> {
    let row: Option<(String, i64)> = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT id, CASE WHEN account = $2 OR EXISTS
            (SELECT 1 FROM job_readers WHERE job_id = jobs.id AND job_readers.account = $2)
         THEN 1 ELSE 0 END FROM jobs WHERE id = {NAMED}"
    )))
    .bind(id)
    .bind(account)
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|(job, seen)| match seen {
        0 => Acceptance::Anothers,
        _ if job == id => Acceptance::Known,
        _ => {
            let is_made = false;
            Acceptance::Joined(Joined { job, is_made })
        }
    }))
}
