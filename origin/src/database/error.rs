//! What can go wrong with the database.

use std::path::PathBuf;

use crate::webhooks::SealError;

/// A failure of the database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The file cannot be opened or made.
    #[error("the database `{}` cannot be opened: is the folder writable?", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What sqlx says.
        source: sqlx::Error,
    },
    /// The server cannot be reached.
    #[error("the database server cannot be reached: is it running, and is DATABASE_URL right?")]
    Connect(#[source] sqlx::Error),
    /// The folder for the file cannot be made.
    #[error("the folder for the database `{}` cannot be made", path.display())]
    Folder {
        /// The file.
        path: PathBuf,
        /// What the file system says.
        source: std::io::Error,
    },
    /// The tables cannot be brought up to date.
    #[error("the database cannot be migrated: was it made by a newer version?")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A statement failed.
    #[error("the database failed")]
    Query(#[from] sqlx::Error),
    /// A row holds what this version never wrote.
    #[error("the database holds a {what} that cannot be read")]
    Row {
        /// Which column.
        what: &'static str,
        /// What the parser says, where there was one.
        source: Option<serde_json::Error>,
    },
    /// The process ended in the middle of a write.
    #[error("a write was cut off by the end of the process")]
    CutOff(#[source] tokio::task::JoinError),
    /// A recipe cannot be written.
    #[error("the recipe cannot be written as JSON")]
    Recipe(#[source] serde_json::Error),
    /// A signing secret cannot be read or kept.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// The system has no random numbers.
    #[error("the system has no random numbers for a secret")]
    Random(#[from] getrandom::Error),
}
