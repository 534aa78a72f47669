//! Store and database compared: objects that no image has, images that have no object.

use std::sync::Arc;
use std::time::Duration;

use darkroom_shared::key::{ObjectName, is_aside, parse_key};
use darkroom_shared::timestamp::UnixMillis;
use futures_util::stream::{StreamExt as _, TryStreamExt as _, iter};
use serde::Serialize;

use crate::database::{Database, DatabaseError, Standing};
use crate::storage::{Listed, Storage, StorageError};

/// What is younger may belong to something that is just being done.
pub const GRACE: Duration = Duration::from_hours(24);
/// Images of one question.
const PAGE: u32 = 500;
/// Objects that are looked for at a time.
const AT_ONCE: usize = 8;
/// Names in a report; the numbers are complete.
const NAMES: usize = 100;

/// What the store's and the database's care ran into.
#[derive(Debug, thiserror::Error)]
pub enum HousekeepingError {
    /// The store.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Compares store and database.
#[derive(Clone, Debug)]
pub struct Reconciler {
    /// The database.
    pub database: Database,
    /// The store.
    pub storage: Arc<Storage>,
}

/// What is done about objects that nobody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Nothing: they are counted.
    Look,
    /// Those whose image is on record as failed, canceled or deleted are removed. Those of no known
    /// image are left: a database that was restored, or is another's, would not know its own.
    Known,
    /// All of them are removed.
    All,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Objects that were looked at.
    pub objects: u64,
    /// Old ones of images on record.
    pub known: u64,
    /// Those of them whose image is on record as failed, canceled or deleted.
    pub unwanted: u64,
    /// Objects of no image on record.
    pub unknown: u64,
    /// How many of the two were removed.
    pub removed: u64,
    /// Names of such objects, the first hundred.
    pub orphans: Vec<String>,
    /// Uploads that were never completed and were given up.
    pub uploads: u64,
    /// Images that were looked for in the store.
    pub images: u64,
    /// How many have no object there.
    pub missing: u64,
    /// Their ids, the first hundred.
    pub missing_images: Vec<String>,
}

impl Reconciler {
    /// Looks through the whole store for objects that no image has, and deals with those that are
    /// older than `before`.
    ///
    /// # Errors
    /// [`HousekeepingError`]; what was removed by then stays removed.
    pub async fn objects(
        &self,
        scope: Scope,
        before: UnixMillis,
        report: &mut Report,
    ) -> Result<(), HousekeepingError> {
        let mut pages = self.storage.list();
        while let Some(page) = pages.try_next().await? {
            self.page(page, scope, before, report).await?;
        }
        Ok(())
    }

    /// Gives up uploads that were begun before a moment and never completed.
    ///
    /// # Errors
    /// [`HousekeepingError`].
    pub async fn uploads(
        &self,
        before: UnixMillis,
        report: &mut Report,
    ) -> Result<(), HousekeepingError> {
        report.uploads += self.storage.abort_uploads(before).await?;
        Ok(())
    }

    async fn page(
        &self,
        page: Vec<Listed>,
        scope: Scope,
        before: UnixMillis,
        report: &mut Report,
    ) -> Result<(), HousekeepingError> {
        report.objects += page.len() as u64;
        let old: Vec<(String, ObjectName)> = page
            .into_iter()
            .filter(|object| object.modified_at < before)
            // What is not named as ours is not ours to judge.
            .filter_map(|object| Some((parse_key(&object.key)?, object.key)))
            .map(|(name, key)| (key, name))
            .collect();
        let ids: Vec<String> = old.iter().map(|(_, name)| name.image.to_string()).collect();
        let standing = self.database.standing(&ids).await?;
        report.known += ids.iter().filter(|id| standing.contains_key(*id)).count() as u64;
        for ((key, name), id) in old.iter().zip(&ids) {
            let remove = match standing.get(id) {
                Some(image) if is_wanted(image, key, *name) => continue,
                Some(_) => {
                    report.unwanted += 1;
                    scope != Scope::Look
                }
                None => {
                    report.unknown += 1;
                    scope == Scope::All
                }
            };
            if report.orphans.len() < NAMES {
                report.orphans.push(key.clone());
            }
            if remove {
                self.storage.delete(key).await?;
                report.removed += 1;
            }
        }
        Ok(())
    }

    /// Looks for the objects of at most `limit` images, by id from behind `after`; the last id, none
    /// where there are no more.
    ///
    /// # Errors
    /// [`HousekeepingError`].
    pub async fn images(
        &self,
        mut after: String,
        limit: u64,
        report: &mut Report,
    ) -> Result<Option<String>, HousekeepingError> {
        let end = report.images.saturating_add(limit);
        while report.images < end {
            let images = self.database.live_images(&after, PAGE).await?;
            let Some((last, _)) = images.last() else {
                return Ok(None);
            };
            after.clone_from(last);
            report.images += images.len() as u64;
            let looked = iter(images).map(|(id, key)| async move {
                let found = self.storage.holds(&key).await?;
                Ok::<_, StorageError>((!found).then_some(id))
            });
            let absent: Vec<Option<String>> =
                looked.buffer_unordered(AT_ONCE).try_collect().await?;
            let absent: Vec<String> = absent.into_iter().flatten().collect();
            // Some may have been deleted since they were asked for.
            let standing = self.database.standing(&absent).await?;
            for id in absent {
                if standing.get(&id).is_some_and(|image| image.is_live) {
                    report.missing += 1;
                    if report.missing_images.len() < NAMES {
                        report.missing_images.push(id);
                    }
                }
            }
        }
        Ok(Some(after))
    }
}

fn is_wanted(image: &Standing, key: &str, name: ObjectName) -> bool {
    if is_aside(key) {
        return image.is_restorable;
    }
    // That of a deleted one may just be on its way, there or back.
    let is_kept = image.is_live || image.is_restorable;
    if name.width.is_some() {
        return is_kept;
    }
    (is_kept || image.is_awaited) && image.key == key
}
