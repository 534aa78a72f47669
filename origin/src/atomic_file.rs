//! Files that are there whole or not at all, whenever the power fails.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// How the temporary names end.
pub const PART_EXTENSION: &str = "part";

/// Writes a file under a temporary name beside `path`, flushes it to the disk, and renames it.
///
/// No two writers have the same temporary name. What a crash leaves behind is for whoever looks after
/// the folder: the spool does when it is opened, the store once a day.
///
/// # Errors
/// What the file system says; `path` is as it was then.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (folder, part) = part_of(path)?;
    let mut file = File::create_new(&part)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&part, path));
    if let Err(error) = written {
        // The first error is the one to report: a full disk often fails the removal too.
        drop(fs::remove_file(&part));
        return Err(error);
    }
    // A rename outlives a power failure only once its folder is on the disk.
    File::open(folder)?.sync_all()
}

/// Finds out whether [`write_atomically`] could write there now, and leaves nothing behind.
///
/// # Errors
/// What the file system says.
pub fn check_writable(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let (_, part) = part_of(path)?;
    File::create_new(&part)?;
    fs::remove_file(part)
}

/// The folder of a file, and a temporary name there.
fn part_of(path: &Path) -> io::Result<(&Path, PathBuf)> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("`{}` names no file", path.display()),
        ));
    };
    // The parent of a bare file name is the empty path.
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let (name, chance) = (name.to_string_lossy(), getrandom::u64()?);
    let part = folder.join(format!(".{name}.{chance:016x}.{PART_EXTENSION}"));
    Ok((folder, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.png");
        write_atomically(&path, b"first, longer").expect("written");
        write_atomically(&path, b"second").expect("written");
        assert_eq!(fs::read(&path).expect("read"), b"second");
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 1);
    }

    #[test]
    fn writers_of_one_file_do_not_meet() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.png");
        let texts = [1, 2, 3, 4_u8].map(|byte| vec![byte; 100_000]);
        std::thread::scope(|scope| {
            for text in &texts {
                scope.spawn(|| {
                    for _ in 0..10 {
                        write_atomically(&path, text).expect("written");
                        let found = fs::read(&path).expect("read");
                        assert!(texts.contains(&found), "one of them, whole");
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_the_folder_as_it_was() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("taken");
        fs::create_dir(&path).expect("folder");
        assert!(write_atomically(&path, b"x").is_err());
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 1);
    }
}
