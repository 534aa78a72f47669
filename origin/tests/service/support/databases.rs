//! The databases of the tests. All of them run on `SQLite`, and on `PostgreSQL` where
//! `scripts/with-postgres` says which.

use std::path::Path;

use darkroom_origin::database::Address;
use sqlx::any::install_default_drivers;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};
use url::Url;

use super::LIMIT;

/// The server's address, where there is one.
fn server() -> Option<Url> {
    let url = std::env::var("DARKROOM_TEST_POSTGRES").ok()?;
    Some(url.parse().expect("an address"))
}

/// Whether the tests run on `PostgreSQL`.
pub fn on_postgres() -> bool {
    server().is_some()
}

/// The address of the database that belongs to a folder, which is there afterwards.
pub async fn address(folder: &Path) -> Address {
    Address::parse(&url(folder).await).expect("an address")
}

/// The same as text.
pub async fn url(folder: &Path) -> String {
    let Some(mut url) = server() else {
        return format!("sqlite://{}", folder.join("darkroom.db").display());
    };
    let name = folder.file_name().expect("a name").as_encoded_bytes();
    let name = format!("test_{}", hex::encode(name));
    let mut server = connection(url.as_str()).await;
    let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM pg_database WHERE datname = $1")
        .bind(&name)
        .fetch_optional(&mut server)
        .await
        .expect("asked");
    if found.is_none() {
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut server)
            .await
            .expect("made");
    }
    server.close().await.expect("closed");
    url.set_path(&name);
    url.into()
}

/// A connection of its own to the database of an origin over `folder`.
pub async fn database(folder: &Path) -> AnyConnection {
    let mut connection = connection(&url(folder).await).await;
    if !on_postgres() {
        let limit = format!("PRAGMA busy_timeout = {}", LIMIT.as_millis());
        sqlx::raw_sql(AssertSqlSafe(limit))
            .execute(&mut connection)
            .await
            .expect("patient");
    }
    connection
}

async fn connection(url: &str) -> AnyConnection {
    install_default_drivers();
    AnyConnection::connect(url).await.expect("connected")
}
