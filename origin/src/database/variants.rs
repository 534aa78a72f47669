//! Smaller copies of pictures: which are to be made, and which there are.

use darkroom_shared::timestamp::UnixMillis;
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;

use super::{Database, DatabaseError};

/// A smaller copy that is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredVariant {
    /// Its object in the store.
    pub key: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Its media type.
    pub content_type: String,
}

/// A stored image that has no smaller copies yet.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct WithoutVariants {
    /// Its id.
    pub id: String,
    /// Its object in the store.
    #[sqlx(rename = "object_key")]
    pub key: String,
    /// Pixels.
    #[sqlx(try_from = "i64")]
    pub width: u32,
    /// The hash of its recipe.
    pub recipe_sha256: String,
    /// Its seed.
    pub seed: i64,
    /// The recipe of its job's first image, as JSON.
    pub recipe: String,
}

/// What has no smaller copies, where a moment follows by which nobody else is to be making them.
const NEXT: &str = "SELECT id FROM images
    WHERE stored_at IS NOT NULL AND deleted_at IS NULL AND variants IS NULL AND variants_after";
const FIRST: &str = "ORDER BY variants_after LIMIT 1";

impl Database {
    /// Takes a stored image that has no smaller copies yet, to make them until a moment: not
    /// before then is anybody else told of it.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn claim_variants(
        &self,
        now: UnixMillis,
        until: UnixMillis,
    ) -> Result<Option<WithoutVariants>, DatabaseError> {
        // Most looks find nothing, and need no writer.
        let any: Option<String> =
            sqlx::query_scalar(AssertSqlSafe(format!("{NEXT} <= $1 {FIRST}")))
                .bind(now)
                .fetch_optional(&self.readers)
                .await?;
        if any.is_none() {
            return Ok(None);
        }
        let mut transaction = self.write().await?;
        let statement = format!(
            "UPDATE images SET variants_after = $1 WHERE id = ({NEXT} <= $2 {FIRST} {})
             RETURNING id, object_key, width, recipe_sha256, seed,
                (SELECT recipe FROM jobs WHERE jobs.id = images.job_id) AS recipe",
            self.dialect.skip_locked()
        );
        let claimed: Option<WithoutVariants> = sqlx::query_as(AssertSqlSafe(statement))
            .bind(until)
            .bind(now)
            .fetch_optional(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(claimed)
    }

    /// Records an image's smaller copies. False where the image was deleted meanwhile: then nobody
    /// else removes them.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn variants_stored(
        &self,
        image: &str,
        variants: &[StoredVariant],
    ) -> Result<bool, DatabaseError> {
        let variants = serde_json::to_string(variants).map_err(|source| DatabaseError::Row {
            what: COLUMN,
            source: Some(source),
        })?;
        let mut transaction = self.write().await?;
        let recorded =
            sqlx::query("UPDATE images SET variants = $1 WHERE id = $2 AND deleted_at IS NULL")
                .bind(variants)
                .bind(image)
                .execute(&mut *transaction)
                .await?;
        transaction.commit().await?;
        Ok(recorded.rows_affected() == 1)
    }
}

const COLUMN: &str = "list of smaller copies";

/// Reads the column.
pub(super) fn parse(column: Option<&str>) -> Result<Vec<StoredVariant>, DatabaseError> {
    let parsed = column.map(serde_json::from_str).transpose();
    let parsed = parsed.map_err(|source| DatabaseError::Row {
        what: COLUMN,
        source: Some(source),
    })?;
    Ok(parsed.unwrap_or_default())
}

/// The objects that the column names.
pub(super) fn keys_of(column: Option<&str>) -> Result<Vec<String>, DatabaseError> {
    let variants = parse(column)?.into_iter();
    Ok(variants.map(|variant| variant.key).collect())
}
