//! Deleted images on their way out of the store.

use darkroom_shared::timestamp::UnixMillis;
use sqlx::AssertSqlSafe;

use super::variants::keys_of;
use super::{Database, DatabaseError};

/// A deleted image that the store may still have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doomed {
    /// Its id.
    pub id: String,
    /// Its objects: the smaller copies first, the picture last.
    pub keys: Vec<String>,
}

impl Database {
    /// Images that were deleted before a moment and that the store may still have, the first
    /// deleted first.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn doomed(
        &self,
        before: UnixMillis,
        limit: u32,
    ) -> Result<Vec<Doomed>, DatabaseError> {
        let rows: Vec<(String, String, Option<String>)> = sqlx::query_as(
            "SELECT id, object_key, variants FROM images
             WHERE deleted_at < $1 AND purged_at IS NULL ORDER BY deleted_at LIMIT $2",
        )
        .bind(before)
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter()
            .map(|(id, key, variants)| {
                let mut keys = keys_of(variants.as_deref())?;
                keys.push(key);
                Ok(Doomed { id, keys })
            })
            .collect()
    }

    /// Records that the store has forgotten an image.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn image_purged(&self, id: &str, now: UnixMillis) -> Result<(), DatabaseError> {
        let mut transaction = self.write().await?;
        sqlx::query("UPDATE images SET purged_at = $1 WHERE id = $2")
            .bind(now)
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Hides images that were stored before a moment, as their owners could; how many.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn expire_images(
        &self,
        stored_before: UnixMillis,
        limit: u32,
        now: UnixMillis,
    ) -> Result<u64, DatabaseError> {
        let mut transaction = self.write().await?;
        let statement = format!(
            "UPDATE images SET deleted_at = $1 WHERE id IN
                (SELECT id FROM images WHERE stored_at < $2 AND deleted_at IS NULL
                 ORDER BY stored_at LIMIT $3 {})",
            self.dialect.skip_locked()
        );
        let expired = sqlx::query(AssertSqlSafe(statement))
            .bind(now)
            .bind(stored_before)
            .bind(i64::from(limit))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(expired.rows_affected())
    }
}
