//! Where pictures are kept: a bucket, or a folder with the same keys and the same metadata.

mod folder;
mod metadata;
mod s3;

use std::time::Duration;

use bytes::Bytes;
use darkroom_shared::timestamp::UnixMillis;
use futures_util::stream::BoxStream;

pub use folder::Folder;
pub use metadata::{About, Kept, Metadata, Object};
pub use s3::S3;

/// The store of one service.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a process has one, behind a pointer"
)]
pub enum Storage {
    /// The local file system.
    Folder(Folder),
    /// S3, or a server that speaks like it.
    S3(S3),
}

/// A stored picture on its way out.
pub struct Stored {
    /// Its media type.
    pub content_type: String,
    /// Its size, where the store says it.
    pub length: Option<u64>,
    /// SHA-256 of the file, hex.
    pub sha256: String,
    /// The file, piece by piece.
    pub body: BoxStream<'static, std::io::Result<Bytes>>,
}

/// An object in a store's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub key: String,
    /// When it was stored, by the store's clock.
    pub modified_at: UnixMillis,
}

/// Why a picture could not be put or fetched.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The store is away, refuses us, or failed: the same call may do better later.
    #[error("the store cannot {what} `{key}`")]
    Unavailable {
        /// What was asked of it.
        what: &'static str,
        /// The object.
        key: String,
        /// What it says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Something else is stored under the key: no later try will do better.
    #[error("another file is stored under `{key}` already")]
    Taken {
        /// The object.
        key: String,
    },
}

impl Storage {
    /// Stores a picture; what is stored then. A second call with the same bytes changes nothing and
    /// is no error, nor is one with a signed file of the same recipe: what was there first stays.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn put(&self, object: &Object, bytes: Bytes) -> Result<Kept, StorageError> {
        match self {
            Self::Folder(folder) => folder.put(object, bytes).await,
            Self::S3(s3) => s3.put(object, bytes).await,
        }
    }

    /// Fetches a picture, or `None` where there is none under the key.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    pub async fn get(&self, key: &str) -> Result<Option<Stored>, StorageError> {
        match self {
            Self::Folder(folder) => folder.get(key).await,
            Self::S3(s3) => s3.get(key).await,
        }
    }

    /// Whether a picture is stored.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    pub async fn holds(&self, key: &str) -> Result<bool, StorageError> {
        match self {
            Self::Folder(folder) => folder.holds(key).await,
            Self::S3(s3) => s3.holds(key).await,
        }
    }

    /// Everything in the folders of pictures, by pages of at most a thousand, in no order.
    pub fn list(&self) -> BoxStream<'_, Result<Vec<Listed>, StorageError>> {
        match self {
            Self::Folder(folder) => folder.list(),
            Self::S3(s3) => s3.list(),
        }
    }

    /// Removes what uploads that were begun before a moment and never ended have left; how many
    /// there were.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    pub async fn abort_uploads(&self, before: UnixMillis) -> Result<u64, StorageError> {
        match self {
            Self::Folder(folder) => folder.abort_uploads(before).await,
            Self::S3(s3) => s3.abort_uploads(before).await,
        }
    }

    /// Gives a picture another name; whether it has that name then. One that was moved before is as
    /// well moved as one that is.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`]; it has either name or both, and the same call ends it.
    pub async fn rename(&self, from: &str, to: &str) -> Result<bool, StorageError> {
        match self {
            Self::Folder(folder) => folder.rename(from, to).await,
            Self::S3(s3) => s3.rename(from, to).await,
        }
    }

    /// Deletes a picture. One that is not there is no error.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    pub async fn delete(&self, key: &str) -> Result<(), StorageError> {
        match self {
            Self::Folder(folder) => folder.delete(key).await,
            Self::S3(s3) => s3.delete(key).await,
        }
    }
}

/// How long to wait before the try that follows `failures` failed ones: doubling from 200 ms
/// to 30 s.
#[must_use]
pub fn backoff(failures: u32) -> Duration {
    let doubled =
        Duration::from_millis(200).saturating_mul(1 << failures.saturating_sub(1).min(10));
    doubled.min(Duration::from_secs(30))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_half_a_minute() {
        assert_eq!(backoff(1), Duration::from_millis(200));
        assert_eq!(backoff(4), Duration::from_millis(1600));
        assert_eq!(backoff(1000), Duration::from_secs(30));
    }
}
