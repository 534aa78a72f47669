//! Deleted images on their way out of the store, and out of `CloudFront`.

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

    /// Records that the store has forgotten an image, and what `CloudFront` is to forget: both or
    /// neither.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn image_purged(
        &self,
        id: &str,
        invalidate: &[String],
        now: UnixMillis,
    ) -> Result<(), DatabaseError> {
        let mut transaction = self.write().await?;
        sqlx::query("UPDATE images SET purged_at = $1 WHERE id = $2")
            .bind(now)
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        for key in invalidate {
            sqlx::query(
                "INSERT INTO invalidations (path, created_at) VALUES ($1, $2)
                 ON CONFLICT (path) DO NOTHING",
            )
            .bind(format!("/{key}"))
            .bind(now)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Paths that `CloudFront` is still to forget, the oldest first.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn to_invalidate(&self, limit: u32) -> Result<Vec<String>, DatabaseError> {
        let paths =
            sqlx::query_scalar("SELECT path FROM invalidations ORDER BY created_at, path LIMIT $1");
        let paths = paths.bind(i64::from(limit)).fetch_all(&self.readers);
        Ok(paths.await?)
    }

    /// Records that `CloudFront` forgets these paths.
    ///
    /// # Errors
    /// [`DatabaseError::Query`]; they are told once more then.
    pub async fn invalidated(&self, paths: &[String]) -> Result<(), DatabaseError> {
        let mut transaction = self.write().await?;
        for path in paths {
            sqlx::query("DELETE FROM invalidations WHERE path = $1")
                .bind(path)
                .execute(&mut *transaction)
                .await?;
        }
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
