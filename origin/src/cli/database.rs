//! What commands that look into the database have in common: which it is, and that it is of this
//! program's version.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use anyhow::anyhow;
use clap::Args;
use darkroom_origin::config::settings::{CONFIG, DATA_DIR};
use darkroom_origin::config::{Config, Layers};
use darkroom_origin::database::{Address, Database, SchemaVersion};

use super::Failure;

/// Where settings come from, for those who need only a few.
#[derive(Debug, Args)]
pub struct SourceArgs {
    /// Configuration file (TOML); the database's address may stand there, or in `DATABASE_URL`
    #[arg(long, value_name = "FILE", env = CONFIG.name)]
    config: Option<OsString>,
    /// Folder whose `darkroom.db` it is where no address is set
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<String>,
}

impl SourceArgs {
    /// The settings as they stand.
    pub fn layers(&self) -> Result<Layers, Failure> {
        let data_dir = self.data_dir.clone();
        let flags = data_dir.map(|folder| (DATA_DIR.key.to_owned(), folder));
        // An empty value is none, as everywhere.
        let file = self.config.as_deref().filter(|path| !path.is_empty());
        let flags = flags.into_iter().collect::<BTreeMap<_, _>>();
        Layers::gather(file.map(Path::new), flags).map_err(Failure::input)
    }

    /// The database's address.
    pub fn address(&self) -> Result<Address, Failure> {
        Config::read_database(&self.layers()?).map_err(Failure::input)
    }

    /// Opens the database, which must be there: looking into it makes none and changes none.
    pub async fn open(&self) -> Result<Database, Failure> {
        open(&self.address()?).await
    }
}

/// Opens a database that must be there.
pub(super) async fn open(address: &Address) -> Result<Database, Failure> {
    let version = SchemaVersion::read(address)
        .await
        .map_err(anyhow::Error::new)?;
    match version.found {
        None => Err(Failure::Run(anyhow!(
            "there is no database yet: `darkroom serve` or `darkroom migrate` makes it"
        ))),
        Some(found) if found != version.wanted => Err(Failure::Run(anyhow!(
            "the database is of version {found}, this darkroom works with {}: `darkroom migrate` \
             brings an older one up to date, a newer one needs a newer darkroom",
            version.wanted
        ))),
        Some(_) => Ok(Database::open(address).await.map_err(anyhow::Error::new)?),
    }
}
