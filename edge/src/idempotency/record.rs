//! What is kept under one idempotency key, in its object's own database.

use darkroom_shared::timestamp::UnixMillis;
use serde::{Deserialize, Serialize};
use worker::{SqlStorageValue, State};

use crate::json;
use crate::sql::Sql;

const TABLES: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS call (id INTEGER PRIMARY KEY CHECK (id = 1), digest TEXT NOT NULL,
        attempt TEXT NOT NULL, since INTEGER NOT NULL, head TEXT)",
    // A value may have two megabytes, and an answer more.
    "CREATE TABLE IF NOT EXISTS body (number INTEGER PRIMARY KEY, piece BLOB NOT NULL)",
];
/// Of one value in the database.
const PIECE: usize = 1 << 20;
/// A call that has not been answered for so long never will be: its Worker is gone.
const LOST_MILLIS: UnixMillis = 180_000;

/// An answer without its body.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Head {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: Vec<(String, String)>,
}

/// What is known of a call that comes under a key.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Verdict {
    /// It is the first, or the first that may be answered: under this id.
    Begun(String),
    /// The first is being answered.
    Running,
    /// Another call was sent under this key.
    Other,
    /// It was answered; the answer's body comes with this.
    Done(Head),
}

/// The record of one key.
pub(super) struct Record(Sql);

#[derive(Deserialize)]
struct Row {
    digest: String,
    attempt: String,
    since: UnixMillis,
    head: Option<String>,
}

impl Record {
    /// The record of the object whose state this is.
    pub fn open(state: &State) -> worker::Result<Self> {
        Sql::open(state, &TABLES).map(Self)
    }

    /// Begins a call, unless one was begun before. `attempt` names what it does.
    pub fn begin(&self, digest: &str, attempt: &str, now: UnixMillis) -> worker::Result<Verdict> {
        let statement = "SELECT digest, attempt, since, head FROM call";
        let attempt = match self.0.rows::<Row>(statement, ())?.pop() {
            Some(row) if row.digest != digest => return Ok(Verdict::Other),
            Some(Row {
                head: Some(head), ..
            }) => return Ok(Verdict::Done(json::read(head)?)),
            Some(row) if now - row.since < LOST_MILLIS => return Ok(Verdict::Running),
            // Whatever the lost one has begun is found again under its own name.
            Some(row) => row.attempt,
            None => attempt.to_owned(),
        };
        let statement = "INSERT OR REPLACE INTO call VALUES (1, ?, ?, ?, NULL)";
        self.0.run(statement, (digest, &attempt, now))?;
        Ok(Verdict::Begun(attempt))
    }

    /// The call may be begun again, under the id that it has: this one.
    pub fn reopen(&self, attempt: &str) -> worker::Result<()> {
        let statement = "UPDATE call SET since = 0 WHERE head IS NULL AND attempt = ?";
        self.0.run(statement, [attempt])
    }

    /// Keeps a call's answer.
    pub fn keep(&self, head: &str, body: &[u8]) -> worker::Result<()> {
        // An earlier attempt may have left a part of its own.
        self.0.run("DELETE FROM body", ())?;
        for (number, piece) in (0_i64..).zip(body.chunks(PIECE)) {
            let values = vec![SqlStorageValue::Integer(number), piece.to_vec().into()];
            let statement = "INSERT INTO body VALUES (?, ?)";
            self.0.storage.exec(statement, values)?;
        }
        self.0.run("UPDATE call SET head = ?", [head])
    }

    /// The body of the answer that was kept.
    pub fn body(&self) -> worker::Result<Vec<u8>> {
        let statement = "SELECT piece FROM body ORDER BY number";
        let pieces = self.0.storage.exec(statement, None)?;
        let mut body = Vec::new();
        for row in pieces.raw() {
            for value in row? {
                if let SqlStorageValue::Blob(piece) = value {
                    body.extend(piece);
                }
            }
        }
        Ok(body)
    }

    /// Forgets all of it: the next call is the first.
    pub fn forget(&self) -> worker::Result<()> {
        self.0.run("DELETE FROM call", ())?;
        self.0.run("DELETE FROM body", ())
    }
}
