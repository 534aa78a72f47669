//! One key's books, in its object's own database. Nothing here waits for anything, so that no other
//! call comes in between: what is counted is exact.

use darkroom_shared::allowance::{Allowance, Used};
use darkroom_shared::timestamp::UnixMillis;
use serde::Deserialize;
use worker::State;

use super::message::{Balance, End, NewJob, Refused};
use crate::sql::Sql;

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
    sql: Sql,
}

/// What was used of both.
#[derive(Clone, Copy, Default)]
struct BothUsed {
    requests: Used,
    images: Used,
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
        let sql = Sql::open(state, &TABLES)?;
        Ok(Self { sql })
    }

    /// Takes so many requests, and with them a job's images: all, or none. Those of a job that is
    /// open are taken already.
    pub fn take(
        &self,
        allowance: &Allowance,
        requests: u32,
        job: Option<&NewJob>,
        now: UnixMillis,
    ) -> worker::Result<Balance> {
        let mut used = self.used()?;
        let mut refused = None;
        match allowance.requests.take(used.requests, requests, now) {
            Some(requests) => used.requests = requests,
            None => refused = Some(Refused::Requests),
        }
        if let (None, Some(job)) = (refused, job) {
            match allowance.images.take(used.images, job.images, now) {
                Some(images) if self.add(job, images.window, now)? => used.images = images,
                None if !self.is_open(job)? => refused = Some(Refused::Images),
                Some(_) | None => {}
            }
        }
        if refused != Some(Refused::Requests) {
            self.set(used)?;
        }
        Ok(Balance {
            refused,
            requests: allowance.requests.left(used.requests, now),
            images: allowance.images.left(used.images, now),
        })
    }

    /// Notes what became of a job. One that has been ended before is none.
    pub fn end(&self, job: &str, end: End) -> worker::Result<()> {
        let statement = match end {
            End::Made | End::NotMade => {
                "DELETE FROM jobs WHERE id = ? RETURNING images, window, taken"
            }
            End::Unknown => {
                "UPDATE jobs SET taken = 0 WHERE id = ? AND taken = 1
                 RETURNING images, window, 1"
            }
        };
        for (images, window, taken) in self.sql.rows::<(u32, i64, u8)>(statement, [job])? {
            let mut used = self.used()?;
            used.images = match (end, taken) {
                (End::Made, 0) => used.images.take_again(window, images),
                (End::Made, _) | (_, 0) => continue,
                (End::NotMade | End::Unknown, _) => used.images.give_back(window, images),
            };
            self.set(used)?;
        }
        Ok(())
    }

    /// Jobs of whose end nothing is known, those first that were not asked after for the longest
    /// time. Those that can change nothing any more are forgotten.
    pub fn open_jobs(&self, most: u32, now: UnixMillis) -> worker::Result<Vec<OpenJob>> {
        let over = now.saturating_sub(OVER_MILLIS);
        self.sql.run("DELETE FROM jobs WHERE since < ?", [over])?;
        self.sql.rows(
            "SELECT id, account, since FROM jobs ORDER BY asked, since LIMIT ?",
            [most],
        )
    }

    /// Notes that a job is asked after now.
    pub fn asked(&self, job: &str, now: UnixMillis) -> worker::Result<()> {
        self.sql
            .run("UPDATE jobs SET asked = ? WHERE id = ?", (now, job))
    }

    fn used(&self) -> worker::Result<BothUsed> {
        let mut both = BothUsed::default();
        let rows = "SELECT what, window, count FROM used";
        for (what, window, count) in self.sql.rows::<(String, _, _)>(rows, ())? {
            let used = Used { window, count };
            match what.as_str() {
                REQUESTS => both.requests = used,
                IMAGES => both.images = used,
                _ => {}
            }
        }
        Ok(both)
    }

    fn set(&self, BothUsed { requests, images }: BothUsed) -> worker::Result<()> {
        self.sql.run(
            "INSERT OR REPLACE INTO used VALUES (?, ?, ?), (?, ?, ?)",
            (
                REQUESTS,
                requests.window,
                requests.count,
                IMAGES,
                images.window,
                images.count,
            ),
        )
    }

    /// Notes a job whose images are taken now; false where they were before.
    fn add(&self, job: &NewJob, window: i64, now: UnixMillis) -> worker::Result<bool> {
        let added = self.sql.rows::<[u8; 1]>(
            "INSERT INTO jobs VALUES (?, ?, ?, ?, ?, 0, 1) ON CONFLICT (id) DO UPDATE
             SET account = excluded.account, images = excluded.images, window = excluded.window,
                since = excluded.since, asked = 0, taken = 1 WHERE taken = 0 RETURNING 1",
            (&job.id, &job.account, job.images, window, now),
        )?;
        Ok(!added.is_empty())
    }

    fn is_open(&self, job: &NewJob) -> worker::Result<bool> {
        let open = "SELECT 1 FROM jobs WHERE id = ? AND taken = 1";
        Ok(!self.sql.rows::<[u8; 1]>(open, [&job.id])?.is_empty())
    }
}
