//! Deleted images on their way out of the store.

use darkroom_shared::timestamp::UnixMillis;
use sqlx::AssertSqlSafe;

use super::variants::keys_of;
use super::{Database, DatabaseError};

/// A deleted image whose object is to be seen to, claimed by who does it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doomed {
    /// Its id.
    pub id: String,
    /// Its object.
    pub key: String,
    /// Its smaller copies' objects.
    pub variants: Vec<String>,
    /// Until when it can be restored, where it can.
    pub restorable_until: Option<UnixMillis>,
    /// Until when nobody else sees to it.
    pub claim: UnixMillis,
}

impl Doomed {
    /// Its objects: the smaller copies first, the picture last.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.variants.iter().chain([&self.key])
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    object_key: String,
    variants: Option<String>,
    restorable_until: Option<UnixMillis>,
}

impl Database {
    /// Claims a deleted image whose object is to be seen to, the one that is due first.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn claim_doomed(
        &self,
        now: UnixMillis,
        claim: UnixMillis,
    ) -> Result<Option<Doomed>, DatabaseError> {
        let mut transaction = self.write().await?;
        let statement = format!(
            "UPDATE images SET tidy_at = $1 WHERE id =
                (SELECT id FROM images
                 WHERE tidy_at <= $2 AND deleted_at IS NOT NULL AND purged_at IS NULL
                 ORDER BY tidy_at LIMIT 1 {})
             RETURNING id, object_key, variants, restorable_until",
            self.dialect.skip_locked()
        );
        let row: Option<Row> = sqlx::query_as(AssertSqlSafe(statement))
            .bind(claim)
            .bind(now)
            .fetch_optional(&mut *transaction)
            .await?;
        transaction.commit().await?;
        let Some(row) = row else {
            return Ok(None);
        };
        Ok(Some(Doomed {
            id: row.id,
            key: row.object_key,
            variants: keys_of(row.variants.as_deref())?,
            restorable_until: row.restorable_until,
            claim,
        }))
    }

    /// Gives a claim up: the image's object is next to be seen to at a moment. That of one that can
    /// be restored until then is out of everybody's reach. Says nothing where the claim was
    /// another's by then.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn give_back_doomed(
        &self,
        image: &Doomed,
        due: UnixMillis,
    ) -> Result<(), DatabaseError> {
        let mut transaction = self.write().await?;
        sqlx::query("UPDATE images SET tidy_at = $1 WHERE id = $2 AND tidy_at = $3")
            .bind(due)
            .bind(&image.id)
            .bind(image.claim)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Records that the store has forgotten an image.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn image_purged(&self, image: &Doomed, now: UnixMillis) -> Result<(), DatabaseError> {
        let mut transaction = self.write().await?;
        sqlx::query("UPDATE images SET purged_at = $1 WHERE id = $2 AND tidy_at = $3")
            .bind(now)
            .bind(&image.id)
            .bind(image.claim)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Hides images that were stored before a moment, for good; how many.
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
            "UPDATE images SET deleted_at = $1, restorable_until = NULL, tidy_at = 0 WHERE id IN
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
