//! Two services over one data folder or one database would make each other's jobs: the second
//! does not start. A lock ends with the process, however that ends.

use std::fs::{File, TryLockError, create_dir_all};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use darkroom_origin::config::{Config, settings};

/// Locks what a service needs for itself, as long as what is returned lives.
pub(super) fn lock(config: &Config) -> anyhow::Result<[File; 2]> {
    let (folder, database) = (&config.data_dir, &config.database);
    let folder_is = format!("the data folder `{}`", folder.display());
    let database_is = format!("the database `{}`", database.path().display());
    Ok([
        take(&folder.join("lock"), &folder_is, settings::DATA_DIR.name)?,
        take(
            &database.beside(".lock"),
            &database_is,
            settings::DATABASE_URL.name,
        )?,
    ])
}

fn take(path: &Path, what: &str, setting: &str) -> anyhow::Result<File> {
    let folder = path.parent().unwrap_or(path);
    create_dir_all(folder).with_context(|| format!("the folder of {what} cannot be made"))?;
    let file = File::create(path).with_context(|| format!("{what} cannot be written to"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(anyhow!(
            "another darkroom serves from {what}: stop it, or set {setting} to another"
        )),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("{what} cannot be locked"))
        }
    }
}
