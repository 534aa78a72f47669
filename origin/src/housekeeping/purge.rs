//! Deleted images leave the store.

use std::sync::Arc;

use darkroom_shared::timestamp::UnixMillis;

use super::HousekeepingError;
use crate::clock;
use crate::database::{Database, Doomed};
use crate::storage::Storage;

/// Images of one question.
const BATCH: u32 = 100;

/// Removes what deleted images have left.
#[derive(Clone, Debug)]
pub struct Purge {
    /// Where they are recorded.
    pub database: Database,
    /// Where their objects are.
    pub storage: Arc<Storage>,
}

impl Purge {
    /// Removes an image's objects and records it. A second call does no harm.
    ///
    /// # Errors
    /// [`HousekeepingError`]; the image stays hidden, and is tried again.
    pub async fn image(&self, image: &Doomed) -> Result<(), HousekeepingError> {
        for key in &image.keys {
            self.storage.delete(key).await?;
        }
        self.database.image_purged(&image.id, clock::now()).await?;
        Ok(())
    }

    /// Removes all images that were deleted before a moment and are still there; how many.
    ///
    /// # Errors
    /// [`HousekeepingError`]; what was removed by then is recorded.
    pub async fn all(&self, before: UnixMillis) -> Result<u64, HousekeepingError> {
        let mut purged = 0;
        loop {
            let doomed = self.database.doomed(before, BATCH).await?;
            if doomed.is_empty() {
                return Ok(purged);
            }
            for image in doomed {
                self.image(&image).await?;
                purged += 1;
            }
        }
    }
}
