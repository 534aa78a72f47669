//! What the CDN is to forget: triggers on `images` write down which, whatever part of the origin
//! hides or purges them. All moments are [`Database::now`]'s but those that images have.

use std::time::Duration;

use darkroom_shared::timestamp::UnixMillis;
use sqlx::AssertSqlSafe;

use super::connection::Connection;
use super::rows::places;
use super::variants::keys_of;
use super::{Database, DatabaseError};

/// Images in a batch: with 16 smaller copies each still fewer than the 3,000 paths that CloudFront
/// takes at once.
const IMAGES: i64 = 150;
/// How long the store's end of an image is waited for: a copy that is forgotten before may be fetched
/// once more.
const PURGE: Duration = Duration::from_secs(30);

/// Paths that the CDN is to forget, and what it knows them by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalidation {
    /// The same at every try.
    pub reference: String,
    /// The same at every try.
    pub paths: Vec<String>,
    /// Which try this is, from 1.
    pub attempts: u32,
}

impl Database {
    /// Claims a batch of paths for `lease` from `now`: one whose time has come again, else a new one
    /// by the name `reference`.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn claim_invalidation(
        &self,
        reference: &str,
        lease: Duration,
        now: UnixMillis,
    ) -> Result<Option<Invalidation>, DatabaseError> {
        // Most looks find nothing, and need no writer.
        let any: Option<i64> = sqlx::query_scalar(
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM invalidation_batches WHERE due_at <= $1)
                OR EXISTS (SELECT 1 FROM invalidations)",
        )
        .bind(now)
        .fetch_optional(&self.readers)
        .await?;
        if any.is_none() {
            return Ok(None);
        }
        let until = now + lease.as_millis() as i64;
        let mut transaction = self.write().await?;
        let claimed = match self.tried_before(&mut transaction, now, until).await? {
            Some(batch) => Some(batch),
            None => {
                self.gathered(&mut transaction, reference, now, until)
                    .await?
            }
        };
        transaction.commit().await?;
        Ok(claimed)
    }

    async fn tried_before(
        &self,
        connection: &mut Connection,
        now: UnixMillis,
        until: UnixMillis,
    ) -> Result<Option<Invalidation>, DatabaseError> {
        let statement = format!(
            "UPDATE invalidation_batches SET due_at = $1, attempts = attempts + 1
             WHERE reference = (SELECT reference FROM invalidation_batches WHERE due_at <= $2
                                ORDER BY due_at LIMIT 1 {})
             RETURNING reference, paths, attempts",
            self.dialect.skip_locked()
        );
        let row: Option<(String, String, i64)> = sqlx::query_as(AssertSqlSafe(statement))
            .bind(until)
            .bind(now)
            .fetch_optional(connection)
            .await?;
        let batch = row.map(|(reference, paths, attempts)| {
            let paths = serde_json::from_str(&paths).map_err(unreadable)?;
            Ok(Invalidation {
                reference,
                paths,
                attempts: attempts as u32,
            })
        });
        batch.transpose()
    }

    async fn gathered(
        &self,
        connection: &mut Connection,
        reference: &str,
        now: UnixMillis,
        until: UnixMillis,
    ) -> Result<Option<Invalidation>, DatabaseError> {
        let statement = format!(
            "DELETE FROM invalidations WHERE image IN
                (SELECT image FROM invalidations
                 WHERE since <= $1 OR EXISTS
                    (SELECT 1 FROM images WHERE images.id = image AND purged_at IS NOT NULL)
                 ORDER BY since LIMIT $2 {})
             RETURNING image",
            self.dialect.skip_locked()
        );
        let images: Vec<String> = sqlx::query_scalar(AssertSqlSafe(statement))
            .bind(now - PURGE.as_millis() as i64)
            .bind(IMAGES)
            .fetch_all(&mut *connection)
            .await?;
        let paths = paths_of(connection, &images).await?;
        if paths.is_empty() {
            return Ok(None);
        }
        sqlx::query(
            "INSERT INTO invalidation_batches (reference, paths, due_at, attempts)
             VALUES ($1, $2, $3, 1)",
        )
        .bind(reference)
        .bind(serde_json::to_string(&paths).map_err(unreadable)?)
        .bind(until)
        .execute(connection)
        .await?;
        Ok(Some(Invalidation {
            reference: reference.to_owned(),
            paths,
            attempts: 1,
        }))
    }

    /// Forgets a batch: the CDN has heard of it.
    ///
    /// # Errors
    /// [`DatabaseError::Query`]; it is told once more then, which changes nothing.
    pub async fn invalidation_done(&self, reference: &str) -> Result<(), DatabaseError> {
        let mut transaction = self.write().await?;
        sqlx::query("DELETE FROM invalidation_batches WHERE reference = $1")
            .bind(reference)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Records when a batch is tried again.
    ///
    /// # Errors
    /// [`DatabaseError::Query`]; it is tried again when the claim's lease is over.
    pub async fn invalidation_failed(
        &self,
        reference: &str,
        due_at: UnixMillis,
    ) -> Result<(), DatabaseError> {
        let mut transaction = self.write().await?;
        sqlx::query("UPDATE invalidation_batches SET due_at = $1 WHERE reference = $2")
            .bind(due_at)
            .bind(reference)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Forgets what was written down before a moment, where there is no CDN to be told.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn forget_invalidations(&self, before: UnixMillis) -> Result<(), DatabaseError> {
        let mut transaction = self.write().await?;
        sqlx::query("DELETE FROM invalidations WHERE since < $1")
            .bind(before)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}

/// The paths of images and of their smaller copies, as a CDN over the store has them.
async fn paths_of(
    connection: &mut Connection,
    images: &[String],
) -> Result<Vec<String>, DatabaseError> {
    if images.is_empty() {
        return Ok(Vec::new());
    }
    let statement = format!(
        "SELECT object_key, variants FROM images WHERE id IN ({}) ORDER BY object_key",
        places(images.len())
    );
    let mut query = sqlx::query_as(AssertSqlSafe(statement));
    for image in images {
        query = query.bind(image);
    }
    let rows: Vec<(String, Option<String>)> = query.fetch_all(connection).await?;
    let mut paths = Vec::new();
    for (key, variants) in rows {
        paths.push(format!("/{key}"));
        let variants = keys_of(variants.as_deref())?.into_iter();
        paths.extend(variants.map(|key| format!("/{key}")));
    }
    Ok(paths)
}

fn unreadable(source: serde_json::Error) -> DatabaseError {
    DatabaseError::Row {
        what: "list of paths",
        source: Some(source),
    }
}
