//! The nonces of signed requests: seen once, a request is taken; seen twice, it is a replay.
//!
//! Every request writes one, so they must wait neither for the database's lock nor for the disk.
//! With `SQLite` they have a file of their own beside the database. With `PostgreSQL` they are a
//! table like the others, so that a replay at another origin fails too, and have connections of
//! their own, which do not wait for the server's disk. Where the power fails, or the server crashes,
//! the last ones may be forgotten; their signatures are good for a minute more.

use super::connection::Pool;
use super::{Database, DatabaseError};

/// Expiries are Unix seconds, as signatures have them.
const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS nonces (
        nonce      TEXT PRIMARY KEY,
        expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS nonces_by_expiry ON nonces (expires_at);
";

pub(super) async fn prepare(nonces: &Pool) -> Result<(), DatabaseError> {
    sqlx::raw_sql(TABLE).execute(nonces).await?;
    Ok(())
}

impl Database {
    /// Remembers a nonce until `expires_at` (Unix seconds). False where it was seen before.
    ///
    /// # Errors
    /// [`DatabaseError::Query`]; the request must then be refused.
    pub async fn remember_nonce(
        &self,
        nonce: &str,
        expires_at: i64,
    ) -> Result<bool, DatabaseError> {
        let result = sqlx::query(
            "INSERT INTO nonces (nonce, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        )
        .bind(nonce)
        .bind(expires_at)
        .execute(&self.nonces)
        .await?;
        Ok(result.rows_affected() == 1)
    }

    /// Forgets nonces whose signatures are too old to be taken anyway.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn forget_nonces(&self, now: i64) -> Result<u64, DatabaseError> {
        let result = sqlx::query("DELETE FROM nonces WHERE expires_at < $1")
            .bind(now)
            .execute(&self.nonces)
            .await?;
        Ok(result.rows_affected())
    }
}
