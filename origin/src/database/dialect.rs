//! What the two databases do not have in common. All other SQL is written once: numbered
//! parameters (`$1`), whole numbers of 64 bits, text and bytes are the same in both.

use std::fmt::Debug;

/// A database's own words.
pub(super) trait Dialect: Debug + Send + Sync {
    /// Begins a transaction that will write, and that is on the disk when it is through.
    fn begin(&self) -> &'static str;

    /// The same of one that may be forgotten in a power failure, and waits for no disk. A durable
    /// one that comes later takes it along.
    fn begin_forgetful(&self) -> &'static str;

    /// At the end of a `SELECT` within a transaction: locks the rows and passes over those that
    /// another transaction has locked.
    fn skip_locked(&self) -> &'static str;

    /// Within a transaction, keeps others from going on that ask for the same name (`$1`), until it
    /// is over; `None` where there is one writer at a time anyway.
    fn lock(&self) -> Option<&'static str>;

    /// Asks for the moment it is, in Unix milliseconds.
    fn clock(&self) -> &'static str;

    /// A condition of a `SELECT` from `posts`: title and content hold all the words that are bound to
    /// the parameter `place`, each in quotes, with spaces between them.
    fn holds_words(&self, place: &str) -> String;
}

/// `SQLite`: one process, one writer at a time.
#[derive(Debug)]
pub(super) struct Sqlite;

impl Dialect for Sqlite {
    /// `SQLite` cannot make a writer of a reader while another process writes, so the lock is
    /// taken first, where waiting for it is possible.
    fn begin(&self) -> &'static str {
        "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 1000; BEGIN IMMEDIATE"
    }

    /// Nor does it bring the log into the file, which is waiting for the disk, too.
    fn begin_forgetful(&self) -> &'static str {
        "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0; BEGIN IMMEDIATE"
    }

    /// Nobody else writes.
    fn skip_locked(&self) -> &'static str {
        ""
    }

    fn lock(&self) -> Option<&'static str> {
        None
    }

    fn clock(&self) -> &'static str {
        "SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)"
    }

    fn holds_words(&self, place: &str) -> String {
        format!("posts.sequence IN (SELECT rowid FROM posts_text WHERE posts_text MATCH {place})")
    }
}

/// `PostgreSQL`: many processes on many machines.
#[derive(Debug)]
pub(super) struct Postgres;

impl Dialect for Postgres {
    /// Each statement sees what others have committed by then; what must not change under a
    /// transaction, it locks. A server that only follows another refuses.
    fn begin(&self) -> &'static str {
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
    }

    fn begin_forgetful(&self) -> &'static str {
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL synchronous_commit = off"
    }

    fn skip_locked(&self) -> &'static str {
        "FOR UPDATE SKIP LOCKED"
    }

    /// Names are hashed: two of one hash wait for each other, too.
    fn lock(&self) -> Option<&'static str> {
        Some("SELECT CAST(pg_advisory_xact_lock(hashtextextended($1, 0)) AS TEXT)")
    }

    fn clock(&self) -> &'static str {
        "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"
    }

    /// To which the quotes are nothing.
    fn holds_words(&self, place: &str) -> String {
        format!("posts.words @@ plainto_tsquery('simple', {place})")
    }
}
