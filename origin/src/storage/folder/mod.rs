//! Pictures in a local folder: the keys are paths, the metadata is a JSON file beside each.

mod listing;

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use darkroom_shared::key::parse_key;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use super::{Kept, Metadata, Object, StorageError, Stored};
use crate::atomic_file::write_atomically;

/// Bytes read at a time.
const PIECE: usize = 64 * 1024;

/// A folder that stands for a bucket.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
}

/// The file beside a picture.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sidecar {
    content_type: String,
    cache_control: String,
    metadata: Metadata,
}

impl Folder {
    /// Pictures are kept below `root`, which is made when the first one comes.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Stores a picture.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn put(&self, object: &Object, bytes: Bytes) -> Result<Kept, StorageError> {
        let failed = unavailable("store", &object.key);
        let Some(path) = self.path(&object.key) else {
            return Err(failed(io::ErrorKind::InvalidFilename.into()));
        };
        let key = object.key.clone();
        let object = object.clone();
        let kept = blocking(move || {
            if let Some(Sidecar { metadata, .. }) = read_sidecar(&path)?
                && path.try_exists()?
            {
                let is_ours = object.is(&metadata.sha256, Some(&metadata.recipe_sha256));
                let bytes = fs::metadata(&path)?.len();
                return Ok(is_ours.then_some(Kept {
                    bytes,
                    sha256: metadata.sha256,
                }));
            }
            let kept = Kept {
                bytes: bytes.len() as u64,
                sha256: object.metadata.sha256.clone(),
            };
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            // The metadata goes first: a picture that can be seen has its own.
            let sidecar = Sidecar {
                cache_control: object.cache_control().to_owned(),
                content_type: object.content_type,
                metadata: object.metadata,
            };
            write_atomically(&sidecar_path(&path), &serde_json::to_vec(&sidecar)?)?;
            write_atomically(&path, &bytes)?;
            Ok(Some(kept))
        })
        .await
        .map_err(failed)?;
        kept.ok_or(StorageError::Taken { key })
    }

    /// Fetches a picture.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    pub async fn get(&self, key: &str) -> Result<Option<Stored>, StorageError> {
        let Some(path) = self.path(key) else {
            return Ok(None);
        };
        blocking(move || {
            let file = match fs::File::open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                file => file?,
            };
            let Some(sidecar) = read_sidecar(&path)? else {
                return Ok(None);
            };
            Ok(Some(Stored {
                length: Some(file.metadata()?.len()),
                content_type: sidecar.content_type,
                sha256: sidecar.metadata.sha256,
                body: pieces(file).boxed(),
            }))
        })
        .await
        .map_err(unavailable("read", key))
    }

    /// Whether a picture is stored.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    pub async fn holds(&self, key: &str) -> Result<bool, StorageError> {
        let Some(path) = self.path(key) else {
            return Ok(false);
        };
        blocking(move || Ok(path.try_exists()? && sidecar_path(&path).try_exists()?))
            .await
            .map_err(unavailable("look at", key))
    }

    /// Gives a picture another name, and what is kept beside it.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    pub async fn rename(&self, from: &str, to: &str) -> Result<bool, StorageError> {
        let failed = unavailable("move", from);
        let (Some(from), Some(to)) = (self.path(from), self.path(to)) else {
            return Err(failed(io::ErrorKind::InvalidFilename.into()));
        };
        blocking(move || {
            if let Some(folder) = to.parent() {
                fs::create_dir_all(folder)?;
            }
            // The metadata goes first: a picture that can be seen has its own.
            for (from, to) in [(sidecar_path(&from), sidecar_path(&to)), (from, to.clone())] {
                match fs::rename(&from, &to) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            Ok(to.try_exists()? && sidecar_path(&to).try_exists()?)
        })
        .await
        .map_err(failed)
    }

    /// Deletes a picture and what is kept beside it.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    pub async fn delete(&self, key: &str) -> Result<(), StorageError> {
        let Some(path) = self.path(key) else {
            return Ok(());
        };
        // The picture last: what is kept beside it is found again by it alone.
        blocking(move || {
            for path in [sidecar_path(&path), path] {
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            Ok(())
        })
        .await
        .map_err(unavailable("delete", key))
    }

    /// The file of a key, or `None` for what is no key of ours: no path from outside gets in.
    fn path(&self, key: &str) -> Option<PathBuf> {
        parse_key(key)?;
        Some(self.root.join(key))
    }
}

fn sidecar_path(picture: &Path) -> PathBuf {
    let mut path = picture.as_os_str().to_owned();
    path.push(".json");
    path.into()
}

fn read_sidecar(picture: &Path) -> io::Result<Option<Sidecar>> {
    match fs::read(sidecar_path(picture)) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A file as a stream, each piece read where blocking is allowed.
fn pieces(file: fs::File) -> impl futures_util::Stream<Item = io::Result<Bytes>> + Send {
    futures_util::stream::try_unfold(file, |mut file| {
        blocking(move || {
            let mut piece = vec![0; PIECE];
            let read = file.read(&mut piece)?;
            piece.truncate(read);
            Ok((read > 0).then(|| (piece.into(), file)))
        })
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

fn unavailable(what: &'static str, key: &str) -> impl Fn(io::Error) -> StorageError {
    let key = key.to_owned();
    move |source| StorageError::Unavailable {
        what,
        key: key.clone(),
        source: Box::new(source),
    }
}

#[cfg(test)]
mod tests {
    use super::super::About;
    use super::*;

    const KEY: &str = "generated/1-01234567-89ab-cdef-0123-456789abcdef.png";

    fn object(sha256: &str) -> Object {
        Object {
            key: KEY.into(),
            content_type: "image/png".into(),
            metadata: Metadata::new(&About {
                task_id: None,
                made_at: 0,
                recipe_sha256: "r",
                model: "m",
                seed: 1,
                sha256,
            }),
            is_signed: false,
        }
    }

    async fn body(stored: Stored) -> Vec<u8> {
        stored
            .body
            .map(|piece| piece.expect("piece").to_vec())
            .concat()
            .await
    }

    #[tokio::test]
    async fn a_picture_comes_back_with_its_metadata() {
        let root = tempfile::tempdir().expect("folder");
        let folder = Folder::new(root.path().to_owned());
        assert!(folder.get(KEY).await.expect("asked").is_none());
        let bytes = Bytes::from(vec![7; PIECE + 5]);
        for _ in 0..2 {
            folder.put(&object("s"), bytes.clone()).await.expect("put");
        }
        let stored = folder.get(KEY).await.expect("asked").expect("there");
        assert_eq!(stored.content_type, "image/png");
        assert_eq!(stored.length, Some(bytes.len() as u64));
        assert_eq!(stored.sha256, "s");
        assert_eq!(body(stored).await, bytes);
    }

    #[tokio::test]
    async fn a_stored_picture_is_never_replaced() {
        let root = tempfile::tempdir().expect("folder");
        let folder = Folder::new(root.path().to_owned());
        folder
            .put(&object("s"), Bytes::from_static(b"first"))
            .await
            .expect("put");
        let other = folder.put(&object("t"), Bytes::from_static(b"x")).await;
        assert!(matches!(other, Err(StorageError::Taken { key }) if key == KEY));
        let stored = folder.get(KEY).await.expect("asked").expect("there");
        assert_eq!(body(stored).await, b"first");
    }

    #[tokio::test]
    async fn a_picture_that_was_signed_anew_is_the_one_that_is_stored() {
        let root = tempfile::tempdir().expect("folder");
        let folder = Folder::new(root.path().to_owned());
        let signed = |sha256| Object {
            is_signed: true,
            ..object(sha256)
        };
        let first = Bytes::from_static(b"first");
        let kept = folder.put(&signed("s"), first.clone()).await.expect("put");
        let longer = Bytes::from_static(b"anew, longer");
        let anew = folder.put(&signed("t"), longer).await.expect("ours");
        assert_eq!(anew, kept);
        assert_eq!((kept.bytes, kept.sha256.as_str()), (5, "s"));
        let stored = folder.get(KEY).await.expect("asked").expect("there");
        assert_eq!(body(stored).await, first);
        let mut other = signed("t");
        other.metadata.recipe_sha256 = "another".into();
        let other = folder.put(&other, Bytes::from_static(b"x")).await;
        assert!(matches!(other, Err(StorageError::Taken { .. })));
    }

    #[tokio::test]
    async fn a_deleted_picture_is_gone_whole() {
        let root = tempfile::tempdir().expect("folder");
        let folder = Folder::new(root.path().to_owned());
        let picture = Bytes::from_static(b"x");
        folder.put(&object("s"), picture).await.expect("put");
        for _ in 0..2 {
            folder.delete(KEY).await.expect("deleted");
            assert!(folder.get(KEY).await.expect("asked").is_none());
        }
        let left = fs::read_dir(root.path().join("generated")).expect("folder");
        assert_eq!(left.count(), 0);
    }

    #[tokio::test]
    async fn a_picture_moves_whole_however_far_an_earlier_try_came() {
        let root = tempfile::tempdir().expect("folder");
        let folder = Folder::new(root.path().to_owned());
        let aside = darkroom_shared::key::aside_key(KEY);
        let picture = Bytes::from_static(b"x");
        folder.put(&object("s"), picture).await.expect("put");
        // The try before ended between the two files.
        let path = |key: &str| folder.path(key).expect("a key");
        fs::create_dir_all(path(&aside).parent().expect("a folder")).expect("made");
        fs::rename(sidecar_path(&path(KEY)), sidecar_path(&path(&aside))).expect("moved");
        for _ in 0..2 {
            assert!(folder.rename(KEY, &aside).await.expect("moved"));
            assert!(folder.get(KEY).await.expect("asked").is_none());
        }
        let stored = folder.get(&aside).await.expect("asked").expect("there");
        assert_eq!(body(stored).await, b"x");
        folder.delete(&aside).await.expect("deleted");
        assert!(!folder.rename(&aside, KEY).await.expect("asked"));
    }

    #[tokio::test]
    async fn keys_from_outside_reach_no_other_file() {
        let root = tempfile::tempdir().expect("folder");
        fs::write(root.path().join("secret.png"), b"x").expect("written");
        let folder = Folder::new(root.path().join("objects"));
        for key in [
            "generated/../../secret.png",
            "../secret.png",
            "generated/1-01234567-89ab-cdef-0123-456789abcdef.png.json",
            "/etc/passwd",
        ] {
            assert!(folder.get(key).await.expect("asked").is_none(), "{key}");
        }
    }
}
