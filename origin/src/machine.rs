//! Who this is among those that share a database: an id that stays with the data folder, so that
//! a process knows what the one before it held.

use std::path::{Path, PathBuf};
use std::{fs, io};

use uuid::Uuid;

use crate::atomic_file::write_atomically;

/// The id cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("`{}`, the machine's own id, cannot be used: is the folder writable?", path.display())]
pub struct MachineError {
    path: PathBuf,
    source: io::Error,
}

/// The id of whoever serves from a data folder; a new one where it has none.
///
/// # Errors
/// [`MachineError`].
pub fn id(data_dir: &Path) -> Result<String, MachineError> {
    let path = data_dir.join("machine-id");
    let read = || match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let id = Uuid::new_v4().to_string();
            fs::create_dir_all(data_dir)?;
            write_atomically(&path, id.as_bytes())?;
            Ok(id)
        }
        read => read,
    };
    read().map_err(|source| MachineError {
        path: path.clone(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_with_the_folder() {
        let folders = [(); 2].map(|()| tempfile::tempdir().expect("folder"));
        let [a, b] = folders.each_ref().map(|folder| folder.path().join("data"));
        let first = id(&a).expect("made");
        assert_eq!(id(&a).expect("read"), first);
        assert_ne!(id(&b).expect("made"), first);
    }
}
