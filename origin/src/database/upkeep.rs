//! What the database says of the store's objects, and who looks after them when.

use std::collections::HashMap;

use darkroom_shared::timestamp::UnixMillis;
use sqlx::AssertSqlSafe;

use super::rows::places;
use super::{Database, DatabaseError};

/// Ids in one question.
const IDS: usize = 500;

/// What is known of the image that an object belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The object of the picture itself.
    pub key: String,
    /// Whether the picture is stored, and neither deleted nor purged.
    pub is_live: bool,
    /// Whether it is still being made.
    pub is_awaited: bool,
    /// Whether it is deleted and can be restored: its object may be in its place or set aside.
    pub is_restorable: bool,
}

impl Database {
    /// What is known of images, by id. Those that are not there have no row.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn standing(
        &self,
        ids: &[String],
    ) -> Result<HashMap<String, Standing>, DatabaseError> {
        let mut standing = HashMap::new();
        for ids in ids.chunks(IDS) {
            let statement = format!(
                "SELECT images.id, object_key,
                    CAST(CASE WHEN stored_at IS NOT NULL AND deleted_at IS NULL
                              THEN 1 ELSE 0 END AS BIGINT),
                    CAST(CASE WHEN stored_at IS NULL AND status IN ('queued', 'running')
                              THEN 1 ELSE 0 END AS BIGINT),
                    CAST(CASE WHEN restorable_until IS NOT NULL AND purged_at IS NULL
                              THEN 1 ELSE 0 END AS BIGINT)
                 FROM images JOIN jobs ON jobs.id = images.job_id WHERE images.id IN ({})",
                places(ids.len())
            );
            let mut query = sqlx::query_as(AssertSqlSafe(statement));
            for id in ids {
                query = query.bind(id);
            }
            let rows: Vec<(String, String, i64, i64, i64)> = query.fetch_all(&self.readers).await?;
            standing.extend(rows.into_iter().map(
                |(id, key, is_live, is_awaited, is_restorable)| {
                    let standing = Standing {
                        key,
                        is_live: is_live == 1,
                        is_awaited: is_awaited == 1,
                        is_restorable: is_restorable == 1,
                    };
                    (id, standing)
                },
            ));
        }
        Ok(standing)
    }

    /// A page of images that the store should have, by id from behind `after`: id and object.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn live_images(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<(String, String)>, DatabaseError> {
        let images = sqlx::query_as(
            "SELECT id, object_key FROM images
             WHERE id > $1 AND stored_at IS NOT NULL AND deleted_at IS NULL
             ORDER BY id LIMIT $2",
        )
        .bind(after)
        .bind(i64::from(limit));
        Ok(images.fetch_all(&self.readers).await?)
    }

    /// Takes a chore that is due, for one of those who share the database; it is due again at
    /// `next`.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn take_chore(
        &self,
        name: &str,
        now: UnixMillis,
        next: UnixMillis,
    ) -> Result<bool, DatabaseError> {
        let mut transaction = self.write().await?;
        let taken = sqlx::query("UPDATE chores SET due_at = $1 WHERE name = $2 AND due_at <= $3")
            .bind(next)
            .bind(name)
            .bind(now)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(taken.rows_affected() == 1)
    }

    /// Records that a chore was done: when it is due again.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn chore_done(&self, name: &str, next: UnixMillis) -> Result<(), DatabaseError> {
        let mut transaction = self.write().await?;
        sqlx::query("UPDATE chores SET due_at = $1 WHERE name = $2")
            .bind(next)
            .bind(name)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}
