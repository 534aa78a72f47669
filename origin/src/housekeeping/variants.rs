//! Smaller copies of pictures, made once the picture itself is stored: for lists, and for screens
//! that need no more. Nobody waits for them, and no picture fails by them.

use std::sync::Arc;
use std::time::Duration;

use darkroom_shared::recipe::Recipe;
use darkroom_shared::request::Format;
use futures_util::TryStreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::HousekeepingError;
use super::copies::{Copy, copies};
use crate::cause::chain;
use crate::clock;
use crate::database::{Database, DatabaseError, StoredVariant, WithoutVariants};
use crate::jobs::Phase;
use crate::storage::{About, Metadata, Object, Storage, StorageError};

/// How long each of a picture's copies may take before another tries.
const LEASE: Duration = Duration::from_mins(2);
/// How often it is looked whether there are new pictures.
const POLL: Duration = Duration::from_secs(2);

/// Makes smaller copies.
#[derive(Clone, Debug)]
pub struct VariantMaker {
    /// Where they are recorded.
    pub database: Database,
    /// Where they are stored.
    pub storage: Arc<Storage>,
    /// How wide they are, in pixels: of each picture, those that are smaller than it.
    pub widths: Vec<u32>,
    /// In which formats each width is made, in the order in which they are told.
    pub formats: Vec<Format>,
}

impl VariantMaker {
    /// Makes copies of whatever has none, until the process ends.
    pub async fn keep(self, mut phases: watch::Receiver<Phase>) {
        if self.widths.is_empty() {
            return;
        }
        loop {
            tokio::select! {
                made = self.one() => match made {
                    Ok(true) => continue,
                    Ok(false) => {}
                    Err(error) => {
                        tracing::warn!(error = chain(&error), "no smaller copies; trying again");
                    }
                },
                () = Phase::reached(&mut phases, Phase::Stopping) => return,
            }
            tokio::select! {
                () = sleep(POLL) => {}
                () = Phase::reached(&mut phases, Phase::Stopping) => return,
            }
        }
    }

    /// Makes the copies of one picture that has none. False where there is no such picture.
    ///
    /// # Errors
    /// [`HousekeepingError`]; another try follows.
    pub async fn one(&self) -> Result<bool, HousekeepingError> {
        let now = clock::now();
        let most = self.widths.len() * self.formats.len();
        let until = now + LEASE.as_millis() as i64 * most as i64;
        let Some(image) = self.database.claim_variants(now, until).await? else {
            return Ok(false);
        };
        let widths = self.smaller_than(image.width);
        if widths.is_empty() {
            self.database.variants_stored(&image.id, &[]).await?;
            return Ok(true);
        }
        let Some(file) = self.read(&image.key).await? else {
            // What is not there is the reconciler's to report.
            return Ok(true);
        };
        let (key, formats) = (image.key.clone(), self.formats.clone());
        let copies = spawn_blocking(move || copies(&key, &file, &widths, &formats)).await;
        let copies = copies.unwrap_or_else(|panic| Err(std::io::Error::other(panic).into()));
        let copies = copies.unwrap_or_else(|error| {
            // No later try would do better: it has none for good.
            let image = &image.id;
            tracing::error!(
                image,
                error = chain(&error),
                "a picture has no smaller copies"
            );
            Vec::new()
        });
        let variants = self.store(&image, copies).await?;
        if !self.database.variants_stored(&image.id, &variants).await? {
            for variant in &variants {
                self.storage.delete(&variant.key).await?;
            }
        }
        Ok(true)
    }

    /// The widths that copies of a picture have, the smallest first.
    fn smaller_than(&self, width: u32) -> Vec<u32> {
        let smaller = self.widths.iter().copied().filter(|w| *w < width);
        let mut widths: Vec<u32> = smaller.collect();
        widths.sort_unstable();
        widths.dedup();
        widths
    }

    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let Some(stored) = self.storage.get(key).await? else {
            return Ok(None);
        };
        let file = stored.body.try_fold(Vec::new(), async |mut file, piece| {
            file.extend_from_slice(&piece);
            Ok(file)
        });
        let file = file.await.map_err(|source| StorageError::Unavailable {
            what: "read",
            key: key.to_owned(),
            source: source.into(),
        })?;
        Ok(Some(file))
    }

    async fn store(
        &self,
        image: &WithoutVariants,
        copies: Vec<Copy>,
    ) -> Result<Vec<StoredVariant>, HousekeepingError> {
        let recipe: Recipe =
            serde_json::from_str(&image.recipe).map_err(|source| DatabaseError::Row {
                what: "recipe",
                source: Some(source),
            })?;
        let mut variants = Vec::new();
        for Copy { stored, file } in copies {
            let metadata = Metadata::new(&About {
                task_id: None,
                made_at: clock::now(),
                recipe_sha256: &image.recipe_sha256,
                model: &recipe.model,
                seed: image.seed as u64,
                sha256: &hex::encode(Sha256::digest(&file)),
            });
            let object = Object {
                key: stored.key.clone(),
                content_type: stored.content_type.clone(),
                metadata,
                is_signed: false,
            };
            match self.storage.put(&object, file.into()).await {
                // Another machine's encoder may have made other bytes of the same picture.
                Ok(_) | Err(StorageError::Taken { .. }) => variants.push(stored),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(variants)
    }
}
