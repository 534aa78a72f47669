//! The connection to the database.

use std::time::Duration;

use sqlx::Transaction;
use sqlx::sqlite::{Sqlite, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

use super::{Address, DatabaseError};

/// `SQLite` has one writer at a time, so more connections would only wait for each other.
const CONNECTIONS: u32 = 4;
/// How long a writer waits for another before it fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations/sqlite");

/// The books. Clones share one pool of connections.
#[derive(Clone, Debug)]
pub struct Database {
    pub(super) pool: SqlitePool,
}

impl Database {
    /// Opens the database, making it where it is not there, and brings its tables up to date.
    ///
    /// # Errors
    /// [`DatabaseError::Open`], [`DatabaseError::Folder`], [`DatabaseError::Migrate`].
    pub async fn open(address: &Address) -> Result<Self, DatabaseError> {
        let path = address.path().to_owned();
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|source| DatabaseError::Folder {
                path: path.clone(),
                source,
            })?;
        }
        let options = address
            .0
            .clone()
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An accepted job has been promised: it must outlive a power failure too.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(BUSY_TIMEOUT)
            .connect_with(options)
            .await
            .map_err(|source| DatabaseError::Open { path, source })?;
        MIGRATIONS.run(&pool).await?;
        Ok(Self { pool })
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`DatabaseError::Query`] where it does not.
    pub async fn check(&self) -> Result<(), DatabaseError> {
        sqlx::query("SELECT 1 FROM jobs LIMIT 1")
            .fetch_optional(&self.pool)
            .await?;
        Ok(())
    }

    /// Closes every connection, with what they still hold written.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// A transaction that will write. `SQLite` cannot make a writer of a reader while another
    /// writes, so the lock is taken first, where waiting for it is possible.
    pub(super) async fn write(&self) -> Result<Transaction<'static, Sqlite>, DatabaseError> {
        Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?)
    }
}
