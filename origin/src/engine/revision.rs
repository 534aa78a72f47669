//! A model's revision: one digest over all the files that decide what it makes.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The files that count: configuration, tokenizers, weights. Read-mes and samples do not.
const EXTENSIONS: [&str; 3] = ["json", "txt", "safetensors"];

/// A file of the model cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("`{}` cannot be read", path.display())]
pub struct RevisionError {
    path: PathBuf,
    source: io::Error,
}

/// SHA-256, in hex, over the names and contents of the model's files in the order of their
/// names. Contents are streamed: weights may be larger than memory.
///
/// # Errors
/// [`RevisionError`] naming the file.
pub fn revision(folder: &Path) -> Result<String, RevisionError> {
    let mut files = Vec::new();
    collect(folder, "", &mut files)?;
    files.sort();
    let mut digest = Sha256::new();
    for (name, path) in files {
        let failed = |source| RevisionError {
            path: path.clone(),
            source,
        };
        let mut file = File::open(&path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        // Name and length are marked off, so that no two folders run together alike.
        digest.update((name.len() as u64).to_le_bytes());
        digest.update(name.as_bytes());
        digest.update(length.to_le_bytes());
        feed(&mut file, &mut digest).map_err(failed)?;
    }
    Ok(hex::encode(digest.finalize()))
}

fn feed(file: &mut File, digest: &mut Sha256) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            read => digest.update(&buffer[..read]),
        }
    }
}

/// Gathers (name with forward slashes, path) of every file that counts.
fn collect(
    folder: &Path,
    prefix: &str,
    files: &mut Vec<(String, PathBuf)>,
) -> Result<(), RevisionError> {
    let failed = |source| RevisionError {
        path: folder.to_owned(),
        source,
    };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let Some(file_name) = path.file_name() else {
            continue;
        };
        let name = format!("{prefix}{}", file_name.to_string_lossy());
        // Follows links: model caches keep their files behind them.
        if path.is_dir() {
            collect(&path, &format!("{name}/"), files)?;
        } else if path
            .extension()
            .is_some_and(|extension| EXTENSIONS.iter().any(|counts| extension == *counts))
        {
            files.push((name, path));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_and_contents_of_the_models_own_files_count() {
        let folder = tempfile::tempdir().expect("folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("unet")).expect("folder");
        fs::write(at("unet/config.json"), "{}").expect("written");
        fs::write(at("merges.txt"), "a b").expect("written");
        let first = revision(folder.path()).expect("digest");
        assert_eq!(first.len(), 64);

        fs::write(at("README.md"), "words").expect("written");
        assert_eq!(revision(folder.path()).expect("digest"), first);

        fs::write(at("merges.txt"), "a c").expect("written");
        let changed = revision(folder.path()).expect("digest");
        assert_ne!(changed, first);

        fs::write(at("merges.txt"), "a b").expect("written");
        assert_eq!(revision(folder.path()).expect("digest"), first);
        fs::rename(at("merges.txt"), at("unet/merges.txt")).expect("renamed");
        assert_ne!(revision(folder.path()).expect("digest"), first);
    }
}
