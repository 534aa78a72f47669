//! What is looked at, each by doing what the service would do.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use darkroom_origin::cause::chain;
use darkroom_origin::config::{Config, settings};
use darkroom_origin::database::{Address, DatabaseError, SchemaVersion};
use darkroom_origin::storage::{About, Metadata, Object, Storage, StorageError};
use darkroom_origin::{check_writable, clock, engine};
use darkroom_sdxl::DeviceKind;
use darkroom_shared::key::object_key;
use darkroom_shared::request::{Format, Visibility};
use futures_util::TryStreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;
use uuid::Uuid;

use super::Check;

/// For whatever is asked over a network.
const PATIENCE: Duration = Duration::from_secs(15);
/// What the database, the spool and a night's logs should find.
const LEAST_DISK: u64 = 1 << 30;

type Found = Result<String, String>;

/// All checks, in the order in which a service would come upon what is wrong.
pub(super) async fn all(config: Config) -> Vec<Check> {
    let folder = config.data_dir.clone();
    let mut checks = vec![
        Check::new("data folder", data_folder(&folder)),
        Check::new("disk", disk(&folder)),
        Check::new("model", model(&config.model)),
        Check::new("device", device(config.device)),
        Check::new("database", in_time(database(&config.database)).await),
    ];
    let storage = Storage::of(&config);
    checks.push(Check::new(
        "store",
        Box::pin(in_time(store(&storage))).await,
    ));
    checks
}

async fn in_time(check: impl Future<Output = Found>) -> Found {
    let late = |_| Err(format!("no answer within {} s", PATIENCE.as_secs()));
    timeout(PATIENCE, check).await.unwrap_or_else(late)
}

fn data_folder(folder: &Path) -> Found {
    let name = settings::DATA_DIR.name;
    std::fs::create_dir_all(folder)
        .and_then(|()| check_writable(&folder.join("doctor")))
        .map(|()| format!("`{}` can be written to", folder.display()))
        .map_err(|error| {
            let folder = folder.display();
            format!("`{folder}` cannot be written to ({error}): set {name} to another")
        })
}

fn disk(folder: &Path) -> Found {
    let disk = rustix::fs::statvfs(folder)
        .map_err(|error| format!("`{}` tells nothing ({error})", folder.display()))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let words = format!("{:.1} GiB free", free as f64 / f64::from(1 << 30));
    if free < LEAST_DISK {
        let name = settings::DATA_DIR.name;
        return Err(format!("{words}: make room for 1 GiB, or set {name}"));
    }
    Ok(words)
}

/// Reads every byte that the service would.
fn model(folder: &Path) -> Found {
    let remedy = format!(
        "set {} to an SDXL model in diffusers layout",
        settings::MODEL.name
    );
    if !folder.join("model_index.json").is_file() {
        let folder = folder.display();
        return Err(format!("`{folder}` has no model_index.json: {remedy}"));
    }
    engine::revision(folder)
        .map(|revision| format!("revision {revision}"))
        .map_err(|error| format!("{}: {remedy}", chain(&error)))
}

fn device(kind: DeviceKind) -> Found {
    kind.select()
        .map(|device| format!("{device:?}"))
        .map_err(|error| chain(&error))
}

async fn database(address: &Address) -> Found {
    let version = SchemaVersion::read(address)
        .await
        .map_err(|error: DatabaseError| chain(&error))?;
    match (version.found, version.wanted) {
        (None, _) => Ok("there is none yet: the first start makes it".to_owned()),
        (Some(found), wanted) if found < wanted => Ok(format!(
            "version {found}: the next start, or `darkroom migrate`, brings it to {wanted}"
        )),
        (Some(found), wanted) if found > wanted => Err(format!(
            "version {found} is of a newer darkroom, this one knows {wanted}: install that one"
        )),
        (Some(found), _) => Ok(format!("version {found}")),
    }
}

/// Puts a few bytes where pictures go, reads them, and deletes them.
async fn store(storage: &Storage) -> Found {
    let bytes = Bytes::from_static(b"darkroom doctor");
    let sha256 = hex::encode(Sha256::digest(&bytes));
    let made_at = clock::now();
    let seconds = made_at.div_euclid(1000);
    let key = object_key(seconds, Uuid::new_v4(), Format::Png, Visibility::Private);
    let object = Object {
        key: key.clone(),
        content_type: Format::Png.content_type().to_owned(),
        metadata: Metadata::new(&About {
            task_id: None,
            made_at,
            recipe_sha256: "doctor",
            model: "doctor",
            seed: 0,
            sha256: &sha256,
        }),
        is_signed: false,
    };
    storage
        .put(&object, bytes.clone())
        .await
        .map_err(|error| failed(&error))?;
    let read = read(storage, &key).await;
    // Before anything is said: whatever was read, nothing is to stay.
    storage.delete(&key).await.map_err(|error| failed(&error))?;
    if read? != bytes {
        return Err(format!("`{key}` came back with other bytes"));
    }
    Ok("takes, gives back and deletes".to_owned())
}

async fn read(storage: &Storage, key: &str) -> Result<Vec<u8>, String> {
    let stored = storage.get(key).await.map_err(|error| failed(&error))?;
    let stored = stored.ok_or_else(|| format!("`{key}` was put and is not there"))?;
    let pieces: Vec<Bytes> = stored
        .body
        .try_collect()
        .await
        .map_err(|error| format!("`{key}` breaks off: {error}"))?;
    Ok(pieces.concat())
}

fn failed(error: &StorageError) -> String {
    let [bucket, region, endpoint] =
        [settings::BUCKET, settings::REGION, settings::ENDPOINT].map(|setting| setting.name);
    let error = chain(error);
    format!("{error}: check {bucket}, {region}, {endpoint} and the credentials")
}
