//! Pictures on their way to the store. A picture waits here, on the local disk, until the
//! store has it and the database says so: an outage or a restart in between loses nothing, and
//! each try sends the very same bytes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use darkroom_shared::timestamp::UnixMillis;

use crate::atomic_file::write_atomically;
use crate::clock;

/// The folder of waiting pictures. Clones name the same folder.
#[derive(Clone, Debug)]
pub struct Spool {
    folder: PathBuf,
}

/// A waiting picture.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The file.
    pub bytes: Bytes,
    /// When it was made.
    pub made_at: UnixMillis,
}

/// The spool's folder or one of its files cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("`{}`, where pictures wait for the store, cannot be used: is the disk full?", path.display())]
pub struct SpoolError {
    path: PathBuf,
    source: io::Error,
}

impl Spool {
    /// Opens the folder, making it where it is not there, without what a crash left half-written.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub fn open(folder: &Path) -> Result<Self, SpoolError> {
        fs::create_dir_all(folder).map_err(at(folder))?;
        for entry in fs::read_dir(folder).map_err(at(folder))? {
            let path = entry.map_err(at(folder))?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "part")
            {
                fs::remove_file(&path).map_err(at(&path))?;
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Puts the picture of an image in.
    ///
    /// # Errors
    /// [`SpoolError`]; nothing of it is there then.
    pub fn write(&self, image: &str, bytes: &[u8]) -> Result<(), SpoolError> {
        let path = self.path(image);
        write_atomically(&path, bytes).map_err(at(&path))
    }

    /// Whether the picture of an image is waiting.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub fn holds(&self, image: &str) -> Result<bool, SpoolError> {
        let path = self.path(image);
        path.try_exists().map_err(at(&path))
    }

    /// The picture of an image.
    ///
    /// # Errors
    /// [`SpoolError`], also where it is not there.
    pub fn read(&self, image: &str) -> Result<Waiting, SpoolError> {
        let path = self.path(image);
        let bytes = fs::read(&path).map_err(at(&path))?;
        let modified = fs::metadata(&path)
            .and_then(|metadata| metadata.modified())
            .map_err(at(&path))?;
        let made_at = clock::unix_millis(modified);
        Ok(Waiting {
            bytes: bytes.into(),
            made_at,
        })
    }

    /// Takes the picture of an image out; none to take is no error.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub fn remove(&self, image: &str) -> Result<(), SpoolError> {
        let path = self.path(image);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&path)(error)),
            _ => Ok(()),
        }
    }

    /// The images whose pictures wait.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub fn list(&self) -> Result<Vec<String>, SpoolError> {
        let mut images = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(at(&self.folder))? {
            let name = entry.map_err(at(&self.folder))?.file_name();
            // An image's id is plain text; what is still being written begins with a dot.
            let name = name.to_str().filter(|name| !name.starts_with('.'));
            images.extend(name.map(ToOwned::to_owned));
        }
        Ok(images)
    }

    /// Image ids are made here and hold nothing that a path could be hidden in.
    fn path(&self, image: &str) -> PathBuf {
        self.folder.join(image)
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> SpoolError {
    let path = path.to_owned();
    move |source| SpoolError {
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_waits_until_it_is_taken_out() {
        let folder = tempfile::tempdir().expect("folder");
        let spool = Spool::open(&folder.path().join("spool")).expect("spool");
        assert!(!spool.holds("a").expect("asked"));
        assert!(spool.read("a").is_err());
        spool.write("a", b"picture").expect("written");
        assert_eq!(spool.list().expect("list"), ["a"]);
        let waiting = spool.read("a").expect("read");
        assert_eq!(&waiting.bytes[..], b"picture");
        assert!(waiting.made_at > 0);
        spool.remove("a").expect("removed");
        spool.remove("a").expect("nothing to remove");
        fs::write(folder.path().join("spool/.b.part"), b"half").expect("written");
        let spool = Spool::open(&folder.path().join("spool")).expect("spool");
        assert!(spool.list().expect("list").is_empty());
    }
}
