//! One key's books, in its object's own database. Nothing here waits for anything, so that no other
//! call comes in between: what is counted is exact.

use darkroom_shared::allowance::{Allowance, Quota, Used};
use darkroom_shared::timestamp::UnixMillis;
use serde::Deserialize;
use worker::{SqlStorage, SqlStorageValue, State};

use super::message::{Balance, End, NewJob, Refused};

const TABLES: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS used (what TEXT PRIMARY KEY, window INTEGER NOT NULL, count INTEGER NOT NULL)",
    // `taken` is 0 of a job whose images were given back before its end was known.
    "CREATE TABLE IF NOT EXISTS jobs (id TEXT PRIMARY KEY, account TEXT NOT NULL, images INTEGER NOT NULL,
        window INTEGER NOT NULL, since INTEGER NOT NULL, asked INTEGER NOT NULL, taken INTEGER NOT NULL)",
];
const REQUESTS: &str = "requests";
const IMAGES: &str = "images";
/// After so long a job's day is over, and with it what it could give back.
const OVER_MILLIS: UnixMillis = 2 * 86_400_000;

/// The books.
pub(super) struct Ledger {
    sql: SqlStorage,
}

/// A job of whose end nothing is known yet.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct OpenJob {
    /// The job's id.
    pub id: String,
    /// Whose it is.
    pub account: String,
    /// When its images were taken.
    pub since: UnixMillis,
}

impl Ledger {
    /// The books of the object whose state this is.
    pub fn open(state: &State) -> worker::Result<Self> {
        let sql = state.storage().sql();
        for table in TABLES {
            sql.exec(table, None)?;
        }
        Ok(Self { sql })
    }

    /// Takes a request.
    pub fn take_request(
        &self,
        allowance: &Allowance,
        now: UnixMillis,
    ) -> worker::Result<Result<(), Refused>> {
        let used = self.used(REQUESTS)?;
        let Some(used) = allowance.requests.take(used, 1, now) else {
            return Ok(Err(Refused::Requests));
        };
        self.set(REQUESTS, used)?;
        Ok(Ok(()))
    }

    /// Takes a job's images: all, or none. Those of a job that is open are taken already.
    pub fn take_images(
        &self,
        allowance: &Allowance,
        job: &NewJob,
        now: UnixMillis,
    ) -> worker::Result<Result<(), Refused>> {
        let open = "SELECT 1 FROM jobs WHERE id = ? AND taken = 1";
        let open = self.sql.exec(open, vec![job.id.as_str().into()])?;
        if open.raw().next().is_some() {
            return Ok(Ok(()));
        }
        let used = self.used(IMAGES)?;
        let Some(used) = allowance.images.take(used, job.images, now) else {
            return Ok(Err(Refused::Images));
        };
        self.set(IMAGES, used)?;
        self.add(job, used.window, now)?;
        Ok(Ok(()))
    }

    /// What is left.
    pub fn balance(
        &self,
        allowance: &Allowance,
        refused: Option<Refused>,
        now: UnixMillis,
    ) -> worker::Result<Balance> {
        let left = |what, quota: Quota| Ok::<_, worker::Error>(quota.left(self.used(what)?, now));
        Ok(Balance {
            refused,
            requests: left(REQUESTS, allowance.requests)?,
            images: left(IMAGES, allowance.images)?,
        })
    }

    /// Notes what became of a job. One that has been ended before is none.
    pub fn end(&self, job: &str, end: End) -> worker::Result<()> {
        #[derive(Deserialize)]
        struct Row {
            images: u32,
            window: i64,
            taken: u8,
        }
        let statement = match end {
            End::Made | End::NotMade => {
                "DELETE FROM jobs WHERE id = ? RETURNING images, window, taken"
            }
            End::Unknown => {
                "UPDATE jobs SET taken = 0 WHERE id = ? AND taken = 1
                 RETURNING images, window, 1 AS taken"
            }
        };
        let ended = self.sql.exec(statement, vec![job.into()])?;
        for row in ended.to_array::<Row>()? {
            let used = self.used(IMAGES)?;
            let used = match (end, row.taken) {
                (End::Made, 0) => used.take_again(row.window, row.images),
                (End::Made, _) | (_, 0) => continue,
                (End::NotMade | End::Unknown, _) => used.give_back(row.window, row.images),
            };
            self.set(IMAGES, used)?;
        }
        Ok(())
    }

    /// Jobs of whose end nothing is known, those first that were not asked after for the longest
    /// time. Those that can change nothing any more are forgotten.
    pub fn open_jobs(&self, most: u32, now: UnixMillis) -> worker::Result<Vec<OpenJob>> {
        let over = vec![SqlStorageValue::Integer(now.saturating_sub(OVER_MILLIS))];
        self.sql.exec("DELETE FROM jobs WHERE since < ?", over)?;
        self.sql
            .exec(
                "SELECT id, account, since FROM jobs ORDER BY asked, since LIMIT ?",
                vec![SqlStorageValue::Integer(most.into())],
            )?
            .to_array()
    }

    /// Notes that a job is asked after now.
    pub fn asked(&self, job: &str, now: UnixMillis) -> worker::Result<()> {
        let values = vec![SqlStorageValue::Integer(now), job.into()];
        self.sql
            .exec("UPDATE jobs SET asked = ? WHERE id = ?", values)?;
        Ok(())
    }

    fn used(&self, what: &str) -> worker::Result<Used> {
        let rows: Vec<Used> = self
            .sql
            .exec(
                "SELECT window, count FROM used WHERE what = ?",
                vec![what.into()],
            )?
            .to_array()?;
        Ok(rows.first().copied().unwrap_or_default())
    }

    fn set(&self, what: &str, used: Used) -> worker::Result<()> {
        let values = vec![
            what.into(),
            SqlStorageValue::Integer(used.window),
            SqlStorageValue::Integer(used.count.into()),
        ];
        self.sql
            .exec("INSERT OR REPLACE INTO used VALUES (?, ?, ?)", values)?;
        Ok(())
    }

    fn add(&self, job: &NewJob, window: i64, now: UnixMillis) -> worker::Result<()> {
        let values = vec![
            job.id.as_str().into(),
            job.account.as_str().into(),
            SqlStorageValue::Integer(job.images.into()),
            SqlStorageValue::Integer(window),
            SqlStorageValue::Integer(now),
        ];
        self.sql.exec(
            "INSERT OR REPLACE INTO jobs VALUES (?, ?, ?, ?, ?, 0, 1)",
            values,
        )?;
        Ok(())
    }
}
