//! The connections to the database.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use darkroom_shared::timestamp::UnixMillis;
use secrecy::SecretString;
use tokio::time::timeout;

use super::address::{SqliteFile, server};
use super::connection::{Pool, Transaction};
use super::dialect::{Dialect, Postgres, Sqlite};
use super::probe::Probe;
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
/// How long it is taken for granted that the database takes writes.
const PROBE_GOOD_FOR: Duration = Duration::from_secs(1);

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
/// A process that stands still in the middle of a transaction must not hold its locks for ever, and
/// what nobody waits for any more ([`super::connection`]) is not worth the server's time.
const PUNCTUAL: &str = "
    SET lock_timeout = '10s';
    SET statement_timeout = '12s';
    SET idle_in_transaction_session_timeout = '10s';
";
/// The same for what may be forgotten when the server is cut off. Others see it at once either way.
const PUNCTUAL_AND_FORGETFUL: &str = "
    SET lock_timeout = '10s';
    SET statement_timeout = '12s';
    SET idle_in_transaction_session_timeout = '10s';
    SET synchronous_commit = off;
";

pub(super) static SQLITE: sqlx::migrate::Migrator = sqlx::migrate!("./migrations/sqlite");
pub(super) static POSTGRES: sqlx::migrate::Migrator = sqlx::migrate!("./migrations/postgres");

/// The database. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Database {
    pub(super) dialect: &'static dyn Dialect,
    pub(super) readers: Pool,
    /// `SQLite` has one writer at a time: here they queue for one connection, in order, and keep
    /// none from reading.
    writer: Pool,
    pub(super) nonces: Pool,
    /// What signing secrets are sealed with.
    pub(super) sealing: SealingKeys,
    /// The server that tells of changes, where there is one.
    pub(super) server: Option<SecretString>,
    probe: Arc<Probe>,
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
                let connected =
                    async { Pool::connect(options?, most, BUSY_TIMEOUT, settings).await };
                connected
                    .await
                    .map_err(|source| DatabaseError::Open { path, source })
            }
        };
        let writer = open(file, 1, DURABLE).await?;
        SQLITE.run(writer.acquire().await?.bare()?).await?;
        let nonces = open(&file.beside("-nonces"), 1, FORGETFUL).await?;
        nonces::prepare(&nonces).await?;
        Ok(Self {
            dialect: &Sqlite,
            readers: open(file, READERS, DURABLE).await?,
            writer,
            nonces,
            sealing: SealingKeys::default(),
            server: None,
            probe: Arc::new(Probe::new(PROBE_GOOD_FOR)),
        })
    }

    async fn open_server(url: &SecretString) -> Result<Self, DatabaseError> {
        let open = |most, settings| async move {
            let pool = async { Pool::connect(server(url)?, most, BUSY_TIMEOUT, settings).await };
            pool.await.map_err(DatabaseError::Connect)
        };
        let pool = open(CONNECTIONS - NONCE_CONNECTIONS, PUNCTUAL).await?;
        let mut connection = pool.acquire().await?;
        // Tables that have grown may take their time, and who starts meanwhile waits for that.
        sqlx::raw_sql("SET statement_timeout = 0; SET lock_timeout = 0")
            .execute(connection.bare()?)
            .await?;
        POSTGRES.run(connection.bare()?).await?;
        sqlx::raw_sql(PUNCTUAL).execute(&mut connection).await?;
        drop(connection);
        Ok(Self {
            dialect: &Postgres,
            readers: pool.clone(),
            writer: pool,
            nonces: open(NONCE_CONNECTIONS, PUNCTUAL_AND_FORGETFUL).await?,
            sealing: SealingKeys::default(),
            server: Some(url.clone()),
            probe: Arc::new(Probe::new(PROBE_GOOD_FOR)),
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

    /// Whether the database takes writes, or did within the last second.
    ///
    /// # Errors
    /// [`DatabaseError::Query`] where it does not.
    pub async fn check(&self) -> Result<(), Arc<DatabaseError>> {
        let write = async { Ok(self.write().await?.rollback().await?) };
        let timed_out = |_| Err(sqlx::Error::PoolTimedOut.into());
        let look = async {
            timeout(PROBE_TIMEOUT, write)
                .await
                .unwrap_or_else(timed_out)
        };
        self.probe.ask(look).await
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
        transaction: &mut Transaction,
        name: &str,
    ) -> Result<(), DatabaseError> {
        if let Some(statement) = self.dialect.lock() {
            let lock = sqlx::query(statement).bind(name.to_owned());
            lock.execute(&mut **transaction).await?;
        }
        Ok(())
    }

    /// A transaction that will write.
    pub(super) async fn write(&self) -> Result<Transaction, DatabaseError> {
        Ok(self.writer.begin(self.dialect.begin()).await?)
    }

    /// The same of what may be forgotten in a power failure: it does not wait for the disk.
    pub(super) async fn write_forgetfully(&self) -> Result<Transaction, DatabaseError> {
        Ok(self.writer.begin(self.dialect.begin_forgetful()).await?)
    }
}

fn make_folder(path: &Path) -> Result<(), DatabaseError> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).map_err(|source| DatabaseError::Folder {
        path: path.to_owned(),
        source,
    })
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
        let syncs = async |mut transaction: Transaction| {
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
