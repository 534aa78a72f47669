//! How far a database's tables are, looked at without changing them.

use sqlx::any::install_default_drivers;
use sqlx::{AnyConnection, Connection as _};

use super::address::server;
use super::open::{POSTGRES, SQLITE};
use super::{Address, DatabaseError};

/// A database's version, which is the number of its last migration, and this program's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaVersion {
    /// The database's; `None` where there is no database yet, or an empty one.
    pub found: Option<i64>,
    /// What this program works with.
    pub wanted: i64,
}

impl SchemaVersion {
    /// Looks into the database.
    ///
    /// # Errors
    /// [`DatabaseError::Open`], [`DatabaseError::Connect`], [`DatabaseError::Query`].
    pub async fn read(address: &Address) -> Result<Self, DatabaseError> {
        install_default_drivers();
        let migrator = match address {
            Address::Sqlite(_) => &SQLITE,
            Address::Postgres(_) => &POSTGRES,
        };
        let wanted = migrator.iter().map(|migration| migration.version).max();
        let wanted = wanted.unwrap_or_default();
        let mut connection = match address {
            // Connecting would make it.
            Address::Sqlite(file) if !file.path().exists() => {
                return Ok(Self {
                    found: None,
                    wanted,
                });
            }
            Address::Sqlite(file) => {
                let failed = |source| DatabaseError::Open {
                    path: file.path().to_owned(),
                    source,
                };
                AnyConnection::connect_with(&file.options().map_err(failed)?)
                    .await
                    .map_err(failed)?
            }
            Address::Postgres(url) => {
                AnyConnection::connect_with(&server(url).map_err(DatabaseError::Connect)?)
                    .await
                    .map_err(DatabaseError::Connect)?
            }
        };
        let found = version(&mut connection, address).await;
        connection.close().await?;
        Ok(Self {
            found: found?,
            wanted,
        })
    }
}

/// sqlx keeps its books in a table of its own, which an empty database lacks.
async fn version(
    connection: &mut AnyConnection,
    address: &Address,
) -> Result<Option<i64>, DatabaseError> {
    let exists = match address {
        Address::Sqlite(_) => "SELECT COUNT(*) FROM sqlite_master WHERE name = '_sqlx_migrations'",
        Address::Postgres(_) => {
            "SELECT COUNT(*) FROM pg_tables
             WHERE tablename = '_sqlx_migrations' AND schemaname = ANY (current_schemas(false))"
        }
    };
    let tables: i64 = sqlx::query_scalar(exists)
        .fetch_one(&mut *connection)
        .await?;
    if tables == 0 {
        return Ok(None);
    }
    let version = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations");
    Ok(version.fetch_one(connection).await?)
}
