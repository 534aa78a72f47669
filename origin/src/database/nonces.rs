//! The nonces of signed requests: seen once, a request is taken; seen twice, it is a replay.

use super::{Database, DatabaseError};

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
            "INSERT INTO nonces (nonce, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(nonce)
        .bind(expires_at)
        .execute(&self.pool)
        .await?;
        Ok(result.rows_affected() == 1)
    }

    /// Forgets nonces whose signatures are too old to be taken anyway.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn forget_nonces(&self, now: i64) -> Result<u64, DatabaseError> {
        let result = sqlx::query("DELETE FROM nonces WHERE expires_at < ?")
            .bind(now)
            .execute(&self.pool)
            .await?;
        Ok(result.rows_affected())
    }
}
