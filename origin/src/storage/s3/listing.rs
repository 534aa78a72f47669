//! What lies in a bucket: its objects, and uploads that were never completed.

use aws_sdk_s3::primitives::DateTime;
use darkroom_shared::key::FOLDERS;
use darkroom_shared::timestamp::UnixMillis;
use futures_util::stream::{BoxStream, StreamExt as _, try_unfold};

use super::{S3, StorageError, multipart, status, unavailable};
use crate::storage::Listed;

/// How far a listing is.
struct Place {
    folder: usize,
    token: Option<String>,
}

impl S3 {
    /// Every object of ours, by pages of at most a thousand.
    pub fn list(&self) -> BoxStream<'_, Result<Vec<Listed>, StorageError>> {
        let start = Place {
            folder: 0,
            token: None,
        };
        try_unfold(start, |place| self.page(place)).boxed()
    }

    async fn page(&self, place: Place) -> Result<Option<(Vec<Listed>, Place)>, StorageError> {
        let Some(folder) = FOLDERS.get(place.folder) else {
            return Ok(None);
        };
        let page = self
            .client()
            .await
            .list_objects_v2()
            .bucket(&self.bucket.name)
            .prefix(*folder)
            .set_continuation_token(place.token)
            .send()
            .await
            .map_err(|error| unavailable("list", folder, error))?;
        let objects = page.contents.unwrap_or_default().into_iter();
        let objects = objects.filter_map(|object| {
            Some(Listed {
                key: object.key?,
                modified_at: unix_millis(object.last_modified?)?,
            })
        });
        let next = match page.next_continuation_token {
            Some(token) => Place {
                token: Some(token),
                ..place
            },
            None => Place {
                folder: place.folder + 1,
                token: None,
            },
        };
        Ok(Some((objects.collect(), next)))
    }

    /// Gives up uploads in parts that were begun before a moment and not completed: their parts
    /// take room that is paid for, and are seen in no list. Returns how many.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    pub async fn abort_uploads(&self, before: UnixMillis) -> Result<u64, StorageError> {
        let mut aborted = 0;
        for folder in FOLDERS {
            let (mut key_marker, mut upload_marker) = (None, None);
            loop {
                let answer = self
                    .client()
                    .await
                    .list_multipart_uploads()
                    .bucket(&self.bucket.name)
                    .prefix(*folder)
                    .set_key_marker(key_marker)
                    .set_upload_id_marker(upload_marker)
                    .send()
                    .await;
                let page = match answer {
                    Ok(page) => page,
                    // Some other servers clear up by themselves, and have no such list.
                    Err(error) if status(&error) == Some(501) => return Ok(aborted),
                    Err(error) => return Err(unavailable("list the uploads of", folder, error)),
                };
                for upload in page.uploads() {
                    let begun = upload.initiated.and_then(unix_millis);
                    let old = begun.is_some_and(|begun| begun < before);
                    if let (Some(key), Some(id), true) = (upload.key(), upload.upload_id(), old) {
                        multipart::abort(self, key, id).await?;
                        aborted += 1;
                    }
                }
                if page.is_truncated != Some(true) {
                    break;
                }
                (key_marker, upload_marker) = (page.next_key_marker, page.next_upload_id_marker);
            }
        }
        Ok(aborted)
    }
}

fn unix_millis(at: DateTime) -> Option<UnixMillis> {
    at.to_millis().ok()
}
