//! Deleted images leave the store: at once, or first to a place where nobody is served, from which
//! they come back when they are restored.

use std::sync::Arc;
use std::time::Duration;

use darkroom_shared::key::aside_key;
use darkroom_shared::timestamp::UnixMillis;

use super::HousekeepingError;
use crate::cause::chain;
use crate::clock;
use crate::database::{Database, Deleted, Deletion, Doomed, Remains, Restoring};
use crate::storage::Storage;

/// Longer than a store takes to move an object, all tries included; whoever dies in between keeps
/// others waiting for that long.
const CLAIM: Duration = Duration::from_mins(15);

/// Removes what deleted images have left.
#[derive(Clone, Debug)]
pub struct Purge {
    /// Where they are recorded.
    pub database: Database,
    /// Where their objects are.
    pub storage: Arc<Storage>,
    /// How long they can be restored; zero is not at all.
    pub restorable_for: Duration,
}

/// What came of an account's wish to have an image back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restored {
    /// It is there, if it was not before.
    There,
    /// Its object is just being seen to: try again.
    Busy,
}

/// What of an image's objects is in its place again.
struct Back {
    picture: bool,
    /// Its smaller copies: all of them.
    variants: bool,
}

impl Purge {
    /// Deletes one of an account's images; none where there never was such an image.
    ///
    /// # Errors
    /// [`HousekeepingError`]; the image is hidden, and its object is tried again.
    pub async fn delete(
        &self,
        account: &str,
        id: &str,
    ) -> Result<Option<Deleted>, HousekeepingError> {
        let now = clock::now();
        let deletion = Deletion {
            now,
            restorable_until: match self.restorable_for {
                Duration::ZERO => None,
                time => Some(now + time.as_millis() as i64),
            },
            claim: claim(now),
        };
        let deleted = self.database.hide_image(account, id, deletion).await?;
        if let Some(Remains::Claimed(image)) = deleted.as_ref().map(|image| &image.object) {
            self.image(image, now).await?;
        }
        Ok(deleted)
    }

    /// Brings one of an account's deleted images back; none where there is none, or no longer.
    ///
    /// # Errors
    /// [`HousekeepingError`]; the image stays deleted.
    pub async fn restore(
        &self,
        account: &str,
        id: &str,
    ) -> Result<Option<Restored>, HousekeepingError> {
        let now = clock::now();
        let database = &self.database;
        let restoring = database.claim_restoring(account, id, now, claim(now));
        let image = match restoring.await? {
            None => return Ok(None),
            Some(Restoring::Live) => return Ok(Some(Restored::There)),
            Some(Restoring::Busy) => return Ok(Some(Restored::Busy)),
            Some(Restoring::Claimed(image)) => image,
        };
        match self.bring_back(&image).await {
            Ok(back) if back.picture => {
                let restored = database.image_restored(&image, back.variants).await?;
                Ok(Some(if restored {
                    Restored::There
                } else {
                    // The claim was over, and another has begun to see to the object since.
                    Restored::Busy
                }))
            }
            Ok(_) => {
                tracing::error!(image = image.id, "a deleted image is missing in the store");
                database.give_back_doomed(&image, 0).await?;
                Ok(None)
            }
            Err(error) => {
                self.give_back(&image).await;
                Err(error)
            }
        }
    }

    async fn bring_back(&self, image: &Doomed) -> Result<Back, HousekeepingError> {
        let mut variants = true;
        for key in &image.variants {
            variants &= self.storage.rename(&aside_key(key), key).await?;
        }
        let key = &image.key;
        let picture = self.storage.rename(&aside_key(key), key).await?;
        Ok(Back { picture, variants })
    }

    /// Sees to all images that are due at a moment; how many.
    ///
    /// # Errors
    /// [`HousekeepingError`]; what was done by then is recorded.
    pub async fn all(&self, now: UnixMillis) -> Result<u64, HousekeepingError> {
        let mut seen_to = 0;
        while let Some(image) = self.database.claim_doomed(now, claim(now)).await? {
            self.image(&image, now).await?;
            seen_to += 1;
        }
        Ok(seen_to)
    }

    /// Sets an image's object aside, or removes it where it can no longer be restored. A second call
    /// does no harm.
    async fn image(&self, image: &Doomed, now: UnixMillis) -> Result<(), HousekeepingError> {
        let seen_to = match image.restorable_until {
            Some(until) if until > now => self.set_aside(image, until).await,
            _ => self.remove(image).await,
        };
        if seen_to.is_err() {
            self.give_back(image).await;
        }
        seen_to
    }

    async fn set_aside(&self, image: &Doomed, until: UnixMillis) -> Result<(), HousekeepingError> {
        for key in image.keys() {
            // One that is not there is the reconciler's to report.
            self.storage.rename(key, &aside_key(key)).await?;
        }
        self.database.give_back_doomed(image, until).await?;
        Ok(())
    }

    async fn remove(&self, image: &Doomed) -> Result<(), HousekeepingError> {
        for key in image.keys() {
            self.storage.delete(&aside_key(key)).await?;
            self.storage.delete(key).await?;
        }
        self.database.image_purged(image, clock::now()).await?;
        Ok(())
    }

    /// Lets others try again at once.
    async fn give_back(&self, image: &Doomed) {
        if let Err(error) = self.database.give_back_doomed(image, 0).await {
            let image = &image.id;
            tracing::warn!(
                image,
                error = chain(&error),
                "a claim stays until it is over"
            );
        }
    }
}

fn claim(now: UnixMillis) -> UnixMillis {
    now.saturating_add(CLAIM.as_millis() as i64)
}
