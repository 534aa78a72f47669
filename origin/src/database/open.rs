//! The connections to the database.

use std::path::Path;
use std::time::Duration;

use darkroom_shared::timestamp::UnixMillis;
use secrecy::SecretString;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{Any, AnyPool, Connection as _, Transaction};
use tokio::time::timeout;

use super::address::{SqliteFile, server};
use super::dialect::{Dialect, Postgres, Sqlite};
use super::{Address, DatabaseError, nonces};
use crate::webhooks::SealingKeys;

/// Connections of `SQLite` that read: who reads waits for nobody.
const READERS: u32 = 4;
/// Connections to a server.
const CONNECTIONS: u32 = 8;
/// Those of them that write nonces.
const NONCE_CONNECTIONS: u32 = 2;
/// How long a writer waits for another before it fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// The same for a probe, whose sender waits no longer than this.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// The first line is [`BUSY_TIMEOUT`]. An accepted job has been promised: it must outlive a power
/// failure too.
const DURABLE: &str = "
    PRAGMA busy_timeout = 10000;
    PRAGMA foreign_keys = ON;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
";
/// The same for what may be forgotten in a power failure.
const FORGETFUL: &str = "
    PRAGMA busy_timeout = 10000;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
";
/// A process that stands still in the middle of a transaction must not hold its locks for ever.
const PUNCTUAL: &str = "
    SET lock_timeout = '10s';
    SET idle_in_transaction_session_timeout = '10s';
";
/// The same for what may be forgotten when the server is cut off. Others see it at once either way.
const PUNCTUAL_AND_FORGETFUL: &str = "
    SET lock_timeout = '10s';
    SET idle_in_transaction_session_timeout = '10s';
    SET synchronous_commit = off;
";

pub(super) static SQLITE: sqlx::migrate::Migrator = sqlx::migrate!("./migrations/sqlite");
pub(super) static POSTGRES: sqlx::migrate::Migrator = sqlx::migrate!("./migrations/postgres");

/// The database. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Database {
    pub(super) dialect: &'static dyn Dialect,
    pub(super) readers: AnyPool,
    /// `SQLite` has one writer at a time: here they queue for one connection, in order, and keep
    /// none from reading.
    writer: AnyPool,
    pub(super) nonces: AnyPool,
    /// What signing secrets are sealed with.
    pub(super) sealing: SealingKeys,
    /// The server that tells of changes, where there is one.
    pub(super) server: Option<SecretString>,
}

impl Database {
    /// Opens the database, making it where it is not there, and brings its tables up to date.
    ///
    /// # Errors
    /// [`DatabaseError::Open`], [`DatabaseError::Folder`], [`DatabaseError::Migrate`].
    pub async fn open(address: &Address) -> Result<Self, DatabaseError> {
        sqlx::any::install_default_drivers();
        match address {
            Address::Sqlite(file) => Self::open_file(file).await,
            Address::Postgres(url) => Self::open_server(url).await,
        }
    }

    async fn open_file(file: &SqliteFile) -> Result<Self, DatabaseError> {
        make_folder(file.path())?;
        let open = |file: &SqliteFile, most, settings| {
            let (path, options) = (file.path().to_owned(), file.options());
            async move {
                connect(options, most, settings)
                    .await
                    .map_err(|source| DatabaseError::Open { path, source })
            }
        };
        let writer = open(file, 1, DURABLE).await?;
        SQLITE.run(&writer).await?;
        let nonces = open(&file.beside("-nonces"), 1, FORGETFUL).await?;
        nonces::prepare(&nonces).await?;
        Ok(Self {
            dialect: &Sqlite,
            readers: open(file, READERS, DURABLE).await?,
            writer,
            nonces,
            sealing: SealingKeys::default(),
            server: None,
        })
    }

    async fn open_server(url: &SecretString) -> Result<Self, DatabaseError> {
        let open = |most, settings| async move {
            let pool = connect(server(url), most, settings).await;
            pool.map_err(DatabaseError::Connect)
        };
        let pool = open(CONNECTIONS - NONCE_CONNECTIONS, PUNCTUAL).await?;
        POSTGRES.run(&pool).await?;
        Ok(Self {
            dialect: &Postgres,
            readers: pool.clone(),
            writer: pool,
            nonces: open(NONCE_CONNECTIONS, PUNCTUAL_AND_FORGETFUL).await?,
            sealing: SealingKeys::default(),
            server: Some(url.clone()),
        })
    }

    /// The moment it is by the clock that all who share the database go by: what leases are
    /// measured in.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn now(&self) -> Result<UnixMillis, DatabaseError> {
        let now = sqlx::query_scalar(self.dialect.clock());
        Ok(now.fetch_one(&self.readers).await?)
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

    /// Waits until no other transaction holds `name`, and holds it to this one's end.
    pub(super) async fn lock(
        &self,
        transaction: &mut Transaction<'static, Any>,
        name: &str,
    ) -> Result<(), DatabaseError> {
        if let Some(statement) = self.dialect.lock() {
            let lock = sqlx::query(statement).bind(name.to_owned());
            lock.execute(&mut **transaction).await?;
        }
        Ok(())
    }

    /// A transaction that will write.
    pub(super) async fn write(&self) -> Result<Transaction<'static, Any>, DatabaseError> {
        Ok(self.writer.begin_with(self.dialect.begin()).await?)
    }

    /// The same of what may be forgotten in a power failure: it does not wait for the disk.
    pub(super) async fn write_forgetfully(
        &self,
    ) -> Result<Transaction<'static, Any>, DatabaseError> {
        let begin = self.dialect.begin_forgetful();
        Ok(self.writer.begin_with(begin).await?)
    }
}

fn make_folder(path: &Path) -> Result<(), DatabaseError> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).map_err(|source| DatabaseError::Folder {
        path: path.to_owned(),
        source,
    })
}

async fn connect(
    options: Result<AnyConnectOptions, sqlx::Error>,
    most: u32,
    settings: &'static str,
) -> Result<AnyPool, sqlx::Error> {
    AnyPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(BUSY_TIMEOUT)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                sqlx::raw_sql(settings).execute(connection).await?;
                Ok(())
            })
        })
        // SQLite itself ends a transaction that filled the disk; sqlx then still counts it as
        // open, and the connection would refuse every later one.
        .before_acquire(|connection, _| {
            Box::pin(async move { Ok(!connection.is_in_transaction()) })
        })
        .connect_with(options?)
        .await
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

    #[tokio::test]
    async fn what_may_be_forgotten_makes_nothing_else_forgetful() {
        let folder = tempfile::tempdir().expect("folder");
        let address = Address::file(folder.path().join("darkroom.db"));
        let database = Database::open(&address).await.expect("opened");
        let syncs = async |mut transaction: Transaction<'static, Any>| {
            let level = sqlx::query_scalar("PRAGMA synchronous");
            let level: i64 = level.fetch_one(&mut *transaction).await.expect("asked");
            level
        };
        let (normal, full) = (1, 2);
        for _ in 0..2 {
            let forgetful = database.write_forgetfully().await.expect("begun");
            assert_eq!(syncs(forgetful).await, normal);
            let durable = database.write().await.expect("begun");
            assert_eq!(syncs(durable).await, full);
        }
    }
}
