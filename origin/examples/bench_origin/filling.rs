//! Queues of any length: one job is handed in at the door, the others are copies of its rows.

use std::time::Duration;

use anyhow::Result;
use sqlx::{AnyConnection, Connection as _};

use crate::door::{Prefer, id};
use crate::world::{Books, Kind, Setup, World};

/// Accounts that the copies belong to, in turn.
pub const ACCOUNTS: i64 = 1000;
/// So slow that no job is done meanwhile.
pub const STANDS: Duration = Duration::from_mins(10);

/// The copies' ids have twelve digits at their end, from here on.
const FIRST: i64 = 100_000_000_000;

const JOBS: &str = "
    INSERT INTO jobs (id, account, status, recipe, steps, pixels, previews, created_at, priority,
                      turn, turn_end)
    WITH RECURSIVE numbers (number) AS
        (SELECT $2 UNION ALL SELECT number + 1 FROM numbers WHERE number + 1 < $3)
    SELECT '00000000-0000-4000-8000-' || CAST(number AS TEXT),
           'account-' || CAST(number % $4 AS TEXT), 'queued', recipe, steps, pixels, previews,
           created_at, priority, turn_end + (number - $5) / $4 * steps * pixels,
           turn_end + ((number - $5) / $4 + 1) * steps * pixels
    FROM jobs, numbers WHERE id = $1";
const IMAGES: &str = "
    INSERT INTO images (id, job_id, position, object_key, seed, recipe_sha256, visibility, width,
                        height, content_type)
    WITH RECURSIVE numbers (number) AS
        (SELECT $2 UNION ALL SELECT number + 1 FROM numbers WHERE number + 1 < $3)
    SELECT '00000000-0000-4000-8001-' || CAST(number AS TEXT),
           '00000000-0000-4000-8000-' || CAST(number AS TEXT), position,
           'generated/1700000000-00000000-0000-4000-8001-' || CAST(number AS TEXT) || '.png',
           seed, recipe_sha256, visibility, width, height, content_type
    FROM images, numbers WHERE job_id = $1";
const EVENTS: &str = "
    INSERT INTO job_events (job_id, number, name, step, at)
    WITH RECURSIVE numbers (number) AS
        (SELECT $2 UNION ALL SELECT number + 1 FROM numbers WHERE number + 1 < $3)
    SELECT '00000000-0000-4000-8000-' || CAST(numbers.number AS TEXT), job_events.number, name,
           step, at
    FROM job_events, numbers WHERE job_id = $1 AND job_events.number = 1";

/// A queue that is filled.
pub struct Queue {
    pub connection: AnyConnection,
    kind: Kind,
    /// The job that is copied.
    model: String,
    filled: i64,
}

impl Queue {
    /// An empty queue of jobs with so many steps.
    pub async fn new(world: &World, books: &Books, steps: usize) -> Result<Self> {
        let (_origin, door) = world.origin(books, Setup::of(STANDS)).await?;
        let model = id(&door.generate("model", 0, steps, Prefer::Async).await?)?;
        Ok(Self {
            connection: books.connection().await?,
            kind: books.kind,
            model,
            filled: 0,
        })
    }

    /// Puts so many more in.
    pub async fn fill(&mut self, jobs: usize) -> Result<()> {
        let from = FIRST + self.filled;
        self.filled += jobs as i64;
        let mut transaction = self.connection.begin().await?;
        let jobs = sqlx::query(JOBS)
            .bind(&self.model)
            .bind(from)
            .bind(FIRST + self.filled)
            .bind(ACCOUNTS)
            .bind(FIRST);
        jobs.execute(&mut *transaction).await?;
        for statement in [IMAGES, EVENTS] {
            let rows = sqlx::query(statement)
                .bind(&self.model)
                .bind(from)
                .bind(FIRST + self.filled);
            rows.execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Has the database do at once what it does by itself a little later, so that it does not do it
    /// while something is measured.
    pub async fn settle(&mut self) -> Result<()> {
        let statements: &[&str] = match self.kind {
            Kind::Sqlite => &["PRAGMA wal_checkpoint(TRUNCATE)"],
            Kind::Postgres => &["VACUUM ANALYZE", "CHECKPOINT"],
        };
        for statement in statements {
            sqlx::query(*statement)
                .execute(&mut self.connection)
                .await?;
        }
        Ok(())
    }

    /// The account and the id of a copy, by its number.
    pub fn copy(number: usize) -> (String, String) {
        let number = FIRST + number as i64;
        (
            format!("account-{}", number % ACCOUNTS),
            format!("00000000-0000-4000-8000-{number}"),
        )
    }
}
