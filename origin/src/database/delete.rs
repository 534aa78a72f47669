//! Deleting an image: hidden at once, and purged when the store has forgotten it.

use darkroom_shared::recipe::Recipe;
use darkroom_shared::timestamp::UnixMillis;

use super::variants::keys_of;
use super::{Database, DatabaseError};

/// A deleted image, and what it was made by.
#[derive(Clone, Debug, PartialEq)]
pub struct Deleted {
    /// Its object in the store.
    pub key: String,
    /// Its smaller copies' objects.
    pub variants: Vec<String>,
    /// The recipe of its job's first image.
    pub recipe: Recipe,
    /// How many images its job makes.
    pub images: u32,
    /// Whether the store has forgotten it before.
    pub is_purged: bool,
}

/// Object, smaller copies, recipe, images of the job, and when the store forgot it.
type Found = (String, Option<String>, String, i64, Option<UnixMillis>);

impl Database {
    /// Hides one of an account's stored images; none where there never was such an image.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn hide_image(
        &self,
        account: &str,
        id: &str,
        now: UnixMillis,
    ) -> Result<Option<Deleted>, DatabaseError> {
        let mut transaction = self.write().await?;
        let found: Option<Found> = sqlx::query_as(
            "SELECT object_key, variants, jobs.recipe,
                (SELECT COUNT(*) FROM images AS all_images WHERE all_images.job_id = jobs.id),
                purged_at
             FROM images JOIN jobs ON jobs.id = images.job_id
             WHERE images.id = $1 AND jobs.account = $2 AND stored_at IS NOT NULL",
        )
        .bind(id)
        .bind(account)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some((key, variants, recipe, images, purged_at)) = found else {
            return Ok(None);
        };
        sqlx::query("UPDATE images SET deleted_at = COALESCE(deleted_at, $1) WHERE id = $2")
            .bind(now)
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        let recipe = serde_json::from_str(&recipe).map_err(|source| DatabaseError::Row {
            what: "recipe",
            source: Some(source),
        })?;
        Ok(Some(Deleted {
            key,
            variants: keys_of(variants.as_deref())?,
            recipe,
            images: images as u32,
            is_purged: purged_at.is_some(),
        }))
    }
}
