//! What waits, and how long: at a cost that does not grow with the queue.

use std::collections::HashSet;
use std::time::Instant;

use super::{Database, DatabaseError};

/// Jobs before a place that are counted one by one.
const COUNTED: i64 = 1000;

/// A job's place in the order in which jobs are taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// When its turn is.
    pub turn: i64,
    /// Among those of one turn, the order in which they came.
    pub sequence: i64,
}

impl Place {
    /// Behind every other.
    pub const LAST: Self = Self::behind(i64::MAX);

    /// Behind all of a turn.
    #[must_use]
    pub const fn behind(turn: i64) -> Self {
        let sequence = i64::MAX;
        Self { turn, sequence }
    }
}

/// What is to be done before a queued job's turn comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ahead {
    /// Unfinished jobs before it.
    pub jobs: u32,
    /// Their remaining steps, each times its pixels, that fall to each of the machines at work.
    pub pixel_steps: u64,
}

/// What the machines have in hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AtWork {
    jobs: i64,
    pixel_steps: i64,
    machines: i64,
}

impl AtWork {
    /// What is to be done where `jobs` more are waiting, which are so much work.
    #[must_use]
    pub fn and(self, Waiting { jobs, pixel_steps }: Waiting) -> Ahead {
        let pixel_steps = (self.pixel_steps + pixel_steps) / self.machines.max(1);
        Ahead {
            jobs: (self.jobs + jobs) as u32,
            pixel_steps: pixel_steps as u64,
        }
    }
}

/// Jobs that wait, and their steps, each times its pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many.
    pub jobs: i64,
    /// How much work they are.
    pub pixel_steps: i64,
}

/// All that waited at a moment, in order.
#[derive(Debug)]
pub struct Line {
    /// When it was read.
    pub read_at: Instant,
    places: Vec<Place>,
    /// The work up to and with each of them.
    sums: Vec<i64>,
}

impl Line {
    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// What waits before a place, which need not be in the line.
    #[must_use]
    pub fn before(&self, place: Place) -> Waiting {
        let jobs = self.places.partition_point(|other| *other < place);
        let last = jobs.checked_sub(1).and_then(|last| self.sums.get(last));
        Waiting {
            jobs: jobs as i64,
            pixel_steps: last.copied().unwrap_or_default(),
        }
    }
}

impl Database {
    /// What waits before a place; `None` where that is more than is worth counting.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn waiting_before(&self, place: Place) -> Result<Option<Waiting>, DatabaseError> {
        let (jobs, pixel_steps): (i64, i64) = sqlx::query_as(
            "SELECT COUNT(*), CAST(COALESCE(SUM(steps * pixels), 0) AS BIGINT)
             FROM (SELECT steps, pixels FROM jobs
                   WHERE status = 'queued' AND (turn, sequence) < ($1, $2)
                   ORDER BY turn, sequence LIMIT $3) AS first_jobs",
        )
        .bind(place.turn)
        .bind(place.sequence)
        .bind(COUNTED)
        .fetch_one(&self.readers)
        .await?;
        Ok((jobs < COUNTED).then_some(Waiting { jobs, pixel_steps }))
    }

    /// What the machines have in hand. A job whose steps are all done only waits for the store,
    /// and keeps nobody waiting.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn at_work(&self) -> Result<AtWork, DatabaseError> {
        let (jobs, pixel_steps, machines) = sqlx::query_as(
            "SELECT COUNT(*), CAST(COALESCE(SUM((steps - step) * pixels), 0) AS BIGINT),
                    COUNT(DISTINCT lease_holder)
             FROM jobs WHERE status = 'running' AND step < steps",
        )
        .fetch_one(&self.readers)
        .await?;
        Ok(AtWork {
            jobs,
            pixel_steps,
            machines,
        })
    }

    /// Where the first of an account's waiting jobs stands.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn first_place(&self, account: &str) -> Result<Option<Place>, DatabaseError> {
        let first: Option<(i64, i64)> = sqlx::query_as(
            "SELECT turn, sequence FROM jobs WHERE status = 'queued' AND account = $1
             ORDER BY turn, sequence LIMIT 1",
        )
        .bind(account)
        .fetch_optional(&self.readers)
        .await?;
        Ok(first.map(|(turn, sequence)| Place { turn, sequence }))
    }

    /// Accounts of which `jobs` or more are waiting: not for every request.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn crowding(&self, jobs: u32) -> Result<HashSet<String>, DatabaseError> {
        let accounts: Vec<String> = sqlx::query_scalar(
            "SELECT account FROM jobs WHERE status = 'queued'
             GROUP BY account HAVING COUNT(*) >= $1",
        )
        .bind(i64::from(jobs))
        .fetch_all(&self.readers)
        .await?;
        Ok(accounts.into_iter().collect())
    }

    /// Reads the whole line: not for every request.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn line(&self) -> Result<Line, DatabaseError> {
        let read_at = Instant::now();
        let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
            "SELECT turn, sequence, steps * pixels FROM jobs WHERE status = 'queued'
             ORDER BY turn, sequence",
        )
        .fetch_all(&self.readers)
        .await?;
        let mut sum = 0;
        let sums = rows.iter().map(|(.., work)| {
            sum += work;
            sum
        });
        Ok(Line {
            read_at,
            sums: sums.collect(),
            places: rows
                .iter()
                .map(|&(turn, sequence, _)| Place { turn, sequence })
                .collect(),
        })
    }
}
