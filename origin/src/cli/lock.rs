//! Two services over one data folder, or one database in a file, would get in each other's way: the
//! second does not start. A lock ends with the process, however that ends.

use std::fs::{File, TryLockError, create_dir_all};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use darkroom_origin::config::{Config, settings};
use darkroom_origin::database::Address;

/// Locks what a service needs for itself, as long as what is returned lives.
pub(super) fn lock(config: &Config) -> anyhow::Result<Vec<File>> {
    let folder = &config.data_dir;
    let what = format!("the data folder `{}`", folder.display());
    let mut locks = vec![take(&folder.join("lock"), &what, settings::DATA_DIR.name)?];
    if let Address::Sqlite(database) = &config.database {
        let what = format!("the database `{}`", database.path().display());
        let path = database.beside(".lock").path().to_owned();
        locks.push(take(&path, &what, settings::DATABASE_URL.name)?);
    }
    Ok(locks)
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
