//! Which database to use.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use sqlx::sqlite::SqliteConnectOptions;

/// A checked `DATABASE_URL`.
#[derive(Clone, Debug)]
pub struct Address(pub(super) SqliteConnectOptions);

/// Why a `DATABASE_URL` cannot be used. The URL itself may hold a password and is not shown.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// What a later version will take.
    #[error("postgres:// is not supported by this version: use sqlite://PATH")]
    Postgres,
    /// Neither of the two.
    #[error("must begin with sqlite://, followed by the path of the database file")]
    Scheme,
    /// `SQLite` would take a temporary file for it.
    #[error("names no file: write sqlite://PATH")]
    NoPath,
    /// `SQLite` would forget everything at the end of the process.
    #[error("a database in memory would lose every job at a restart: name a file")]
    Memory,
    /// What sqlx says.
    #[error("cannot be read as a database address")]
    Form(#[source] sqlx::Error),
}

impl Address {
    /// Reads `sqlite://PATH`.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Err(AddressError::Postgres);
        }
        if !url.starts_with("sqlite:") {
            return Err(AddressError::Scheme);
        }
        if url.contains(":memory:") || url.contains("mode=memory") {
            return Err(AddressError::Memory);
        }
        let options = SqliteConnectOptions::from_str(url).map_err(AddressError::Form)?;
        if options.get_filename().as_os_str().is_empty() {
            return Err(AddressError::NoPath);
        }
        Ok(Self(options))
    }

    /// The database in a file, which need not exist.
    #[must_use]
    pub fn file(path: PathBuf) -> Self {
        Self(SqliteConnectOptions::new().filename(path))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.get_filename()
    }

    /// A file that belongs to the database and lies beside it: its name with an ending.
    #[must_use]
    pub fn beside(&self, ending: &str) -> PathBuf {
        let mut path = self.path().as_os_str().to_owned();
        path.push(ending);
        path.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sqlite_files_are_taken() {
        let address = Address::parse("sqlite:///var/lib/darkroom.db").expect("valid");
        assert_eq!(address.path(), Path::new("/var/lib/darkroom.db"));
        assert!(matches!(
            Address::parse("postgres://u:p@h/d"),
            Err(AddressError::Postgres)
        ));
        assert!(matches!(
            Address::parse("mysql://h/d"),
            Err(AddressError::Scheme)
        ));
        assert!(matches!(
            Address::parse("sqlite::memory:"),
            Err(AddressError::Memory)
        ));
        for url in ["sqlite://", "sqlite:", "sqlite://?mode=rwc"] {
            assert!(matches!(Address::parse(url), Err(AddressError::NoPath)));
        }
    }
}
