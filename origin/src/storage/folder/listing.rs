//! What lies in a folder: its pictures, and files that were never written to their end.

use std::fs::{self, DirEntry, ReadDir};
use std::io;
use std::path::Path;

use darkroom_shared::key::{FOLDERS, parse_key};
use darkroom_shared::timestamp::UnixMillis;
use futures_util::stream::{BoxStream, StreamExt as _, try_unfold};

use super::{Folder, StorageError, blocking, unavailable};
use crate::atomic_file::PART_EXTENSION;
use crate::clock;
use crate::storage::Listed;

/// Objects of one page.
const PAGE: usize = 1000;

/// How far a listing is.
struct Place {
    folder: usize,
    open: Option<ReadDir>,
}

impl Folder {
    /// Every object, by pages.
    #[must_use]
    pub fn list(&self) -> BoxStream<'_, Result<Vec<Listed>, StorageError>> {
        let start = Place {
            folder: 0,
            open: None,
        };
        try_unfold(start, |place| async {
            let root = self.root.clone();
            blocking(move || page(&root, place))
                .await
                .map_err(unavailable("list", "generated/"))
        })
        .boxed()
    }

    /// Removes files that were begun before a moment and never written to their end.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    pub async fn abort_uploads(&self, before: UnixMillis) -> Result<u64, StorageError> {
        let root = self.root.clone();
        blocking(move || {
            let mut removed = 0;
            for folder in FOLDERS {
                for entry in open(&root.join(folder))?.into_iter().flatten() {
                    let path = entry?.path();
                    let is_part = path.extension().is_some_and(|name| name == PART_EXTENSION);
                    if is_part && remove_if_old(&path, before)? {
                        removed += 1;
                    }
                }
            }
            Ok(removed)
        })
        .await
        .map_err(unavailable("clear up", "generated/"))
    }
}

/// False where it is younger, or was written to its end meanwhile.
fn remove_if_old(path: &Path, before: UnixMillis) -> io::Result<bool> {
    let removed = fs::metadata(path).and_then(|metadata| {
        let is_old = modified_at(&metadata)? < before;
        if is_old {
            fs::remove_file(path)?;
        }
        Ok(is_old)
    });
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        removed => removed,
    }
}

fn page(root: &Path, mut place: Place) -> io::Result<Option<(Vec<Listed>, Place)>> {
    let Some(folder) = FOLDERS.get(place.folder) else {
        return Ok(None);
    };
    let path = root.join(folder);
    let mut entries = match place.open.take() {
        Some(open) => open,
        None => match open(&path)? {
            Some(open) => open,
            None => return Ok(Some((Vec::new(), place.next()))),
        },
    };
    let mut listed = Vec::new();
    for entry in entries.by_ref().take(PAGE) {
        listed.extend(object(folder, &path, &entry?)?);
    }
    // A page without objects may still have been one of other files.
    let next = match entries.next() {
        Some(entry) => {
            listed.extend(object(folder, &path, &entry?)?);
            Place {
                open: Some(entries),
                ..place
            }
        }
        None => place.next(),
    };
    Ok(Some((listed, next)))
}

impl Place {
    fn next(self) -> Self {
        Self {
            folder: self.folder + 1,
            open: None,
        }
    }
}

/// The object that a file is of. What is kept beside a picture stands for it where it is alone.
fn object(folder: &str, path: &Path, entry: &DirEntry) -> io::Result<Option<Listed>> {
    let Ok(name) = entry.file_name().into_string() else {
        return Ok(None);
    };
    let picture = name.strip_suffix(".json").unwrap_or(&name);
    let key = format!("{folder}{picture}");
    let is_alone = picture == name || !path.join(picture).try_exists()?;
    if parse_key(&key).is_none() || !is_alone {
        return Ok(None);
    }
    match entry.metadata() {
        Ok(metadata) => Ok(Some(Listed {
            key,
            modified_at: modified_at(&metadata)?,
        })),
        // Deleted since.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// `None` where nothing was ever stored.
fn open(path: &Path) -> io::Result<Option<ReadDir>> {
    match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

fn modified_at(metadata: &fs::Metadata) -> io::Result<UnixMillis> {
    Ok(clock::unix_millis(metadata.modified()?))
}
