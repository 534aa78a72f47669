//! Deleting an image, and taking that back: hidden and shown again at once, whatever its object
//! takes.
//!
//! A deleted image's object is seen to by one at a time: who does it has a claim, which is the
//! moment until which nobody else begins, and says at the end by which claim it was done.

use darkroom_shared::recipe::Recipe;
use darkroom_shared::timestamp::UnixMillis;

use super::connection::Connection;
use super::purge::Doomed;
use super::variants::keys_of;
use super::{Database, DatabaseError};

/// When what happens to a deleted image.
#[derive(Clone, Copy, Debug)]
pub struct Deletion {
    /// When it is deleted.
    pub now: UnixMillis,
    /// Until when that can be taken back, where it can.
    pub restorable_until: Option<UnixMillis>,
    /// Until when nobody else sees to its object.
    pub claim: UnixMillis,
}

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
    /// What becomes of its object.
    pub object: Remains,
}

/// What becomes of a deleted image's object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remains {
    /// It is to be seen to, by this claim.
    Claimed(Doomed),
    /// It is out of everybody's reach already.
    Gone,
    /// Another is just seeing to it.
    Busy,
}

/// What an account's wish to have an image back comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restoring {
    /// It is not deleted.
    Live,
    /// Its object is to be brought back, by this claim.
    Claimed(Doomed),
    /// Its object is just being seen to.
    Busy,
}

#[derive(sqlx::FromRow)]
struct Row {
    object_key: String,
    variants: Option<String>,
    recipe: String,
    images: i64,
    deleted_at: Option<UnixMillis>,
    purged_at: Option<UnixMillis>,
    restorable_until: Option<UnixMillis>,
    tidy_at: UnixMillis,
}

/// One of an account's stored images.
const OWN: &str = "SELECT object_key, variants, jobs.recipe, deleted_at, purged_at,
        restorable_until, tidy_at,
        (SELECT COUNT(*) FROM images AS all_images WHERE all_images.job_id = jobs.id) AS images
     FROM images JOIN jobs ON jobs.id = images.job_id
     WHERE images.id = $1 AND jobs.account = $2 AND stored_at IS NOT NULL";

/// Locks and reads one of an account's stored images.
async fn own(
    connection: &mut Connection,
    account: &str,
    id: &str,
) -> Result<Option<Row>, DatabaseError> {
    // Changes nothing: it is the lock that both databases know.
    sqlx::query("UPDATE images SET tidy_at = tidy_at WHERE id = $1")
        .bind(id)
        .execute(&mut *connection)
        .await?;
    let row = sqlx::query_as(OWN).bind(id).bind(account);
    Ok(row.fetch_optional(connection).await?)
}

impl Row {
    /// Whether somebody has a claim on its object.
    fn is_claimed(&self, now: UnixMillis) -> bool {
        self.tidy_at > now && !self.is_set_aside()
    }

    /// Whether its object waits, out of everybody's reach, for what becomes of it.
    fn is_set_aside(&self) -> bool {
        self.restorable_until == Some(self.tidy_at)
    }

    fn doomed(&self, id: &str, deletion: Deletion) -> Result<Doomed, DatabaseError> {
        Ok(Doomed {
            id: id.to_owned(),
            key: self.object_key.clone(),
            variants: keys_of(self.variants.as_deref())?,
            restorable_until: deletion.restorable_until,
            claim: deletion.claim,
        })
    }
}

impl Database {
    /// Hides one of an account's stored images; none where there never was such an image. One that
    /// was deleted before keeps its time.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn hide_image(
        &self,
        account: &str,
        id: &str,
        deletion: Deletion,
    ) -> Result<Option<Deleted>, DatabaseError> {
        let mut transaction = self.write().await?;
        let row = own(&mut transaction, account, id).await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let deletion = Deletion {
            restorable_until: match row.deleted_at {
                Some(_) => row.restorable_until,
                None => deletion.restorable_until,
            },
            ..deletion
        };
        let object = match row.deleted_at {
            Some(_) if row.purged_at.is_some() || row.is_set_aside() => Remains::Gone,
            Some(_) if row.is_claimed(deletion.now) => Remains::Busy,
            _ => Remains::Claimed(row.doomed(id, deletion)?),
        };
        if let Remains::Claimed(_) = object {
            sqlx::query(
                "UPDATE images SET deleted_at = COALESCE(deleted_at, $1), restorable_until = $2,
                    tidy_at = $3
                 WHERE id = $4",
            )
            .bind(deletion.now)
            .bind(deletion.restorable_until)
            .bind(deletion.claim)
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        let recipe = serde_json::from_str(&row.recipe).map_err(|source| DatabaseError::Row {
            what: "recipe",
            source: Some(source),
        })?;
        Ok(Some(Deleted {
            variants: keys_of(row.variants.as_deref())?,
            key: row.object_key,
            recipe,
            images: row.images as u32,
            object,
        }))
    }

    /// Claims one of an account's deleted images, to bring it back; none where there is none, or no
    /// longer.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn claim_restoring(
        &self,
        account: &str,
        id: &str,
        now: UnixMillis,
        claim: UnixMillis,
    ) -> Result<Option<Restoring>, DatabaseError> {
        let mut transaction = self.write().await?;
        let row = own(&mut transaction, account, id).await?;
        let Some(row) = row.filter(|row| row.purged_at.is_none()) else {
            return Ok(None);
        };
        if row.deleted_at.is_none() {
            return Ok(Some(Restoring::Live));
        }
        if row.restorable_until.is_none_or(|until| until <= now) {
            return Ok(None);
        }
        if row.is_claimed(now) {
            return Ok(Some(Restoring::Busy));
        }
        let doomed = row.doomed(
            id,
            Deletion {
                now,
                restorable_until: row.restorable_until,
                claim,
            },
        )?;
        sqlx::query("UPDATE images SET tidy_at = $1 WHERE id = $2")
            .bind(claim)
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Some(Restoring::Claimed(doomed)))
    }

    /// Shows an image again whose object was brought back, and whose smaller copies were or are to
    /// be made anew. False where the claim was another's by then.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn image_restored(
        &self,
        image: &Doomed,
        has_variants: bool,
    ) -> Result<bool, DatabaseError> {
        let mut transaction = self.write().await?;
        let restored = sqlx::query(
            "UPDATE images SET deleted_at = NULL, restorable_until = NULL, variants_after = 0,
                variants = CASE WHEN $3 = 1 THEN variants END
             WHERE id = $1 AND tidy_at = $2 AND deleted_at IS NOT NULL AND purged_at IS NULL",
        )
        .bind(&image.id)
        .bind(image.claim)
        .bind(i64::from(has_variants))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(restored.rows_affected() == 1)
    }
}
