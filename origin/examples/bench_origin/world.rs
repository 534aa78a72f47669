//! What is measured: origins in processes of their own, over databases made for the purpose.

use std::cell::Cell;
use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};
use tempfile::TempDir;
use url::Url;

use crate::door::{Door, SECRET};
use crate::process::Process;
use crate::store;

/// A kind of database.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        })
    }
}

/// A folder that vanishes, and the server that `scripts/with-postgres` started.
pub struct World {
    folder: TempDir,
    server: Option<Url>,
    /// Names given so far.
    names: Cell<usize>,
}

/// An empty database.
pub struct Books {
    pub kind: Kind,
    pub url: String,
}

/// How an origin is started.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    /// What its engine's steps take.
    pub step: Duration,
    /// The store's address; its own folder unless told.
    pub store: Option<&'a str>,
    /// Its data folder; a new one unless told.
    pub data: Option<&'a Path>,
}

impl Setup<'_> {
    pub fn of(step: Duration) -> Self {
        Self {
            step,
            store: None,
            data: None,
        }
    }
}

impl World {
    pub fn new() -> Result<Self> {
        let server = env::var("DARKROOM_TEST_POSTGRES").ok();
        Ok(Self {
            folder: tempfile::Builder::new()
                .prefix("darkroom-bench")
                .tempdir()?,
            server: server.map(|url| url.parse()).transpose()?,
            names: Cell::new(0),
        })
    }

    /// The databases there are.
    pub fn kinds(&self) -> &'static [Kind] {
        match self.server {
            Some(_) => &[Kind::Sqlite, Kind::Postgres],
            None => &[Kind::Sqlite],
        }
    }

    /// The folder of the server's data.
    pub fn server_data(&self) -> Result<PathBuf> {
        let server = self.server.as_ref().context("no PostgreSQL")?;
        let socket = server.query_pairs().find(|(name, _)| name == "host");
        let socket = socket.context("a socket")?.1.into_owned();
        Ok(Path::new(&socket).join("data"))
    }

    fn name(&self) -> String {
        self.names.set(self.names.get() + 1);
        format!("bench_{}", self.names.get())
    }

    /// A new folder.
    pub fn folder(&self) -> Result<PathBuf> {
        let folder = self.folder.path().join(self.name());
        std::fs::create_dir(&folder)?;
        Ok(folder)
    }

    /// A new database.
    pub async fn books(&self, kind: Kind) -> Result<Books> {
        let url = match kind {
            Kind::Sqlite => format!("sqlite://{}", self.folder()?.join("darkroom.db").display()),
            Kind::Postgres => {
                let mut url = self.server.clone().context("no PostgreSQL")?;
                let name = self.name();
                let mut server = connect(url.as_str()).await?;
                sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}")))
                    .execute(&mut server)
                    .await?;
                server.close().await?;
                url.set_path(&name);
                url.into()
            }
        };
        Ok(Books { kind, url })
    }

    /// Starts an origin over a database.
    pub async fn origin(&self, books: &Books, setup: Setup<'_>) -> Result<(Process, Door)> {
        let data = match setup.data {
            Some(data) => data.to_owned(),
            None => self.folder()?,
        };
        let program = env::current_exe()?.with_file_name("stub_origin");
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("DARKROOM_LISTEN", "127.0.0.1:0")
            .env("DARKROOM_ORIGIN_SECRETS", SECRET)
            .env("DARKROOM_DATA_DIR", &data)
            .env("DARKROOM_QUEUE_LIMIT", "1000000")
            .env("DARKROOM_ACCOUNT_QUEUE_SHARE", "100")
            .env("DATABASE_URL", &books.url)
            .env("STUB_STEP_MS", setup.step.as_millis().to_string());
        if let Some(store) = setup.store {
            command.envs(store::environment(store));
        }
        let log = data.join(format!("{}.log", self.name()));
        let process = Process::start(command, &log, address).await?;
        let door = Door::new(&process.address)?;
        Ok((process, door))
    }
}

impl Books {
    /// A connection of its own.
    pub async fn connection(&self) -> Result<AnyConnection> {
        let mut connection = connect(&self.url).await?;
        if self.kind == Kind::Sqlite {
            sqlx::raw_sql("PRAGMA busy_timeout = 30000")
                .execute(&mut connection)
                .await?;
        }
        Ok(connection)
    }
}

/// Jobs of this status.
pub async fn count(connection: &mut AnyConnection, status: &str) -> Result<usize> {
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM jobs WHERE status = $1")
        .bind(status)
        .fetch_one(connection)
        .await?;
    Ok(usize::try_from(count)?)
}

async fn connect(url: &str) -> Result<AnyConnection> {
    sqlx::any::install_default_drivers();
    Ok(AnyConnection::connect(url).await?)
}

/// Where an origin says that it listens.
fn address(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["message"] == "listening").then(|| Some(line["address"].as_str()?.to_owned()))?
}
