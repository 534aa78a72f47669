//! Which database to use.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::any::AnyConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use url::Url;

/// A checked `DATABASE_URL`.
#[derive(Clone, Debug)]
pub enum Address {
    /// A file of `SQLite`'s.
    Sqlite(SqliteFile),
    /// The URL of a `PostgreSQL` server, which may hold a password.
    Postgres(SecretString),
}

/// Where a database of `SQLite` is.
#[derive(Clone, Debug)]
pub struct SqliteFile {
    path: PathBuf,
    /// The URL's parameters.
    parameters: String,
}

/// Why a `DATABASE_URL` cannot be used. The URL itself may hold a password and is not shown.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// Neither of the two.
    #[error("must begin with sqlite://, followed by the path of the database file, or postgres://")]
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
    /// Reads `sqlite://PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            PgConnectOptions::from_str(url).map_err(AddressError::Form)?;
            return Ok(Self::Postgres(url.into()));
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
        let (_, parameters) = url.split_once('?').unwrap_or_default();
        Ok(Self::Sqlite(SqliteFile {
            path: options.get_filename().to_owned(),
            parameters: parameters.to_owned(),
        }))
    }

    /// The database in a file, which need not exist.
    #[must_use]
    pub fn file(path: PathBuf) -> Self {
        Self::Sqlite(SqliteFile {
            path,
            parameters: String::new(),
        })
    }
}

impl SqliteFile {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file that belongs to the database and lies beside it: its name with an ending.
    #[must_use]
    pub fn beside(&self, ending: &str) -> Self {
        let mut path = self.path.as_os_str().to_owned();
        path.push(ending);
        Self {
            path: path.into(),
            parameters: self.parameters.clone(),
        }
    }

    /// As sqlx has it: the file is made where it is not there.
    pub(super) fn options(&self) -> Result<AnyConnectOptions, sqlx::Error> {
        let path = std::path::absolute(&self.path)?;
        // Characters that mean something in a URL are written otherwise there.
        let url = Url::from_file_path(&path)
            .map_err(|()| sqlx::Error::InvalidArgument("the path is not absolute".to_owned()))?;
        let mode = if self.parameters.contains("mode=") {
            ""
        } else {
            "mode=rwc&"
        };
        format!("sqlite://{}?{mode}{}", url.path(), self.parameters).parse()
    }
}

/// The same for a server.
pub(super) fn server(url: &SecretString) -> Result<AnyConnectOptions, sqlx::Error> {
    url.expose_secret().parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_servers_are_taken() {
        let address = Address::parse("sqlite:///var/lib/darkroom.db").expect("valid");
        let Address::Sqlite(file) = address else {
            panic!("{address:?}")
        };
        assert_eq!(file.path(), Path::new("/var/lib/darkroom.db"));
        for url in ["postgres://u:hush@h/d", "postgresql://u:hush@h:5433/d"] {
            let address = Address::parse(url).expect("valid");
            assert!(!format!("{address:?}").contains("hush"));
        }
        assert!(matches!(
            Address::parse("postgres://u:p@h:port/d"),
            Err(AddressError::Form(_))
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

    #[test]
    fn a_path_may_hold_what_means_something_in_a_url() {
        for name in ["a b", "50%", "what?", "no#1", "ü"] {
            let path = Path::new("/data").join(name);
            let Address::Sqlite(file) = Address::file(path.clone()) else {
                panic!("a file")
            };
            let options = file.options().expect("valid");
            let read = SqliteConnectOptions::from_str(options.database_url.as_str());
            assert_eq!(read.expect("valid").get_filename(), path);
        }
    }
}
