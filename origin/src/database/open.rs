//! The connections to the database.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{
    Sqlite, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{Connection as _, Transaction};
use tokio::time::timeout;

use super::{Address, DatabaseError, nonces};

/// Who reads waits for nobody.
const READERS: u32 = 4;
/// How long a writer waits for another before it fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// The same for a probe, whose sender waits no longer than this.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations/sqlite");

/// The database. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Database {
    pub(super) readers: SqlitePool,
    /// `SQLite` has one writer at a time: here they queue for one connection, in order, and keep
    /// none from reading.
    writer: SqlitePool,
    pub(super) nonces: SqlitePool,
}

impl Database {
    /// Opens the database, making it where it is not there, and brings its tables up to date.
    ///
    /// # Errors
    /// [`DatabaseError::Open`], [`DatabaseError::Folder`], [`DatabaseError::Migrate`].
    pub async fn open(address: &Address) -> Result<Self, DatabaseError> {
        make_folder(address.path())?;
        let options = address
            .0
            .clone()
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An accepted job has been promised: it must outlive a power failure too.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        let writer = connect(options.clone(), 1).await?;
        MIGRATIONS.run(&writer).await?;
        let nonces = options
            .clone()
            .filename(address.beside("-nonces"))
            .synchronous(SqliteSynchronous::Normal);
        let nonces = connect(nonces, 1).await?;
        nonces::prepare(&nonces).await?;
        Ok(Self {
            readers: connect(options, READERS).await?,
            writer,
            nonces,
        })
    }

    /// Whether the database takes writes.
    ///
    /// # Errors
    /// [`DatabaseError::Query`] where it does not.
    pub async fn check(&self) -> Result<(), DatabaseError> {
        let write = async { Ok(self.write().await?.rollback().await?) };
        let timed_out = |_| Err(sqlx::Error::PoolTimedOut.into());
        timeout(PROBE_TIMEOUT, write)
            .await
            .unwrap_or_else(timed_out)
    }

    /// Closes every connection, with what they still hold written.
    pub async fn close(&self) {
        self.readers.close().await;
        self.nonces.close().await;
        self.writer.close().await;
    }

    /// A transaction that will write. `SQLite` cannot make a writer of a reader while another
    /// process writes, so the lock is taken first, where waiting for it is possible.
    pub(super) async fn write(&self) -> Result<Transaction<'static, Sqlite>, DatabaseError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }
}

fn make_folder(path: &Path) -> Result<(), DatabaseError> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).map_err(|source| DatabaseError::Folder {
        path: path.to_owned(),
        source,
    })
}

async fn connect(options: SqliteConnectOptions, most: u32) -> Result<SqlitePool, DatabaseError> {
    let path: PathBuf = options.get_filename().to_owned();
    SqlitePoolOptions::new()
        .max_connections(most)
        .acquire_timeout(BUSY_TIMEOUT)
        // SQLite itself ends a transaction that filled the disk; sqlx then still counts it as
        // open, and the connection would refuse every later one.
        .before_acquire(|connection, _| {
            Box::pin(async move { Ok(!connection.is_in_transaction()) })
        })
        .connect_with(options)
        .await
        .map_err(|source| DatabaseError::Open { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_disk_that_was_full_leaves_no_connection_behind_that_cannot_write() {
        let folder = tempfile::tempdir().expect("folder");
        let address = Address::file(folder.path().join("darkroom.db"));
        let database = Database::open(&address).await.expect("opened");
        let statement = async |sql: &'static str| {
            let mut transaction = database.write().await?;
            sqlx::query(sql).execute(&mut *transaction).await?;
            Ok::<_, DatabaseError>(transaction.commit().await?)
        };
        statement("CREATE TABLE filler (x)").await.expect("made");
        // The least that is possible: what there is already.
        sqlx::query("PRAGMA max_page_count = 1")
            .execute(&database.writer)
            .await
            .expect("limited");
        let fill = "INSERT INTO filler VALUES (zeroblob(1000000))";
        let full = statement(fill).await.expect_err("full");
        assert!(crate::cause::chain(&full).contains("full"), "{full:?}");
        // The limit was that connection's own.
        statement(fill).await.expect("written by another");
    }
}
