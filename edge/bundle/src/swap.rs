//! Replacing a folder so that nobody finds it half written.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Fills a fresh folder beside `target` with `fill`, then puts it in `target`'s place.
/// Where `fill` fails, `target` stays as it was.
pub fn replace_folder(target: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let staging = Staging::beside(target)?;
    fill(&staging.new)?;
    // A folder cannot be renamed over one that has files, so the old one steps aside first.
    match fs::rename(target, &staging.old) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot move {} away", target.display()));
        }
        _ => {}
    }
    fs::rename(&staging.new, target).or_else(|error| {
        fs::rename(&staging.old, target).context("the old folder cannot be put back either")?;
        Err(error).with_context(|| format!("cannot put {} in place", target.display()))
    })
}

/// A folder beside the target, on the same file system, removed when it goes out of scope.
struct Staging {
    folder: PathBuf,
    new: PathBuf,
    old: PathBuf,
}

impl Staging {
    fn beside(target: &Path) -> Result<Self> {
        let name = target
            .file_name()
            .with_context(|| format!("{} names no folder", target.display()))?
            .to_string_lossy();
        let folder = target.with_file_name(format!(".{name}.{}", std::process::id()));
        let staging = Self {
            new: folder.join("new"),
            old: folder.join("old"),
            folder,
        };
        fs::create_dir_all(&staging.new)
            .with_context(|| format!("cannot make {}", staging.new.display()))?;
        Ok(staging)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Nothing depends on it being gone: the next run takes another name.
        drop(fs::remove_dir_all(&self.folder));
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .expect("readable")
            .map(|entry| entry.expect("entry").file_name().into_string())
            .collect::<Result<_, _>>()
            .expect("UTF-8");
        names.sort();
        names
    }

    #[test]
    fn a_folder_is_replaced_whole_or_not_at_all() {
        let home = std::env::temp_dir().join(format!("darkroom-swap-{}", std::process::id()));
        fs::create_dir_all(&home).expect("writable");
        let target = home.join("build");
        for round in ["first", "second"] {
            replace_folder(&target, |new| Ok(fs::write(new.join(round), "")?)).expect(round);
            assert_eq!(names(&target), [round]);
        }
        let failed = replace_folder(&target, |new| {
            fs::write(new.join("third"), "")?;
            bail!("no")
        });
        assert!(failed.is_err());
        assert_eq!(names(&target), ["second"]);
        assert_eq!(names(&home), ["build"]);
        fs::remove_dir_all(&home).expect("removed");
    }
}
