//! The S3 server that origin and peer upload to: s3s-fs, in a process of its own, so that it takes
//! nothing of the time of those who measure.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::error_handling::HandleError;
use axum::http::StatusCode;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

use crate::process::Process;
use crate::world::World;

/// Has this program be the store.
pub const COMMAND: &str = "store";
const ACCESS_KEY: &str = "bench-access";
const SECRET_KEY: &str = "bench-secret";
const BUCKET: &str = "pictures";

/// A running store.
pub struct Store {
    pub process: Process,
    folder: std::path::PathBuf,
}

impl Store {
    /// Starts one with an empty bucket.
    pub async fn start(world: &World) -> Result<Self> {
        let folder = world.folder()?;
        fs::create_dir(folder.join(BUCKET))?;
        let log = world.folder()?.join("store.log");
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(COMMAND).arg(&folder);
        let address = |line: &str| line.strip_prefix("listening on ").map(ToOwned::to_owned);
        let process = Process::start(command, &log, address).await?;
        Ok(Self { process, folder })
    }

    /// Pictures that it holds.
    pub fn pictures(&self) -> Result<usize> {
        let folder = self.folder.join(BUCKET).join("generated");
        if !folder.exists() {
            return Ok(0);
        }
        let names: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
        let is_picture =
            |name: &fs::DirEntry| name.path().extension().is_some_and(|end| end == "png");
        Ok(names.iter().filter(|name| is_picture(name)).count())
    }
}

/// What those are told who upload to the store at `address`.
pub fn environment(address: &str) -> [(&'static str, String); 5] {
    [
        ("AWS_S3_BUCKET", BUCKET.to_owned()),
        ("AWS_S3_REGION", "us-east-1".to_owned()),
        ("AWS_S3_ENDPOINT", format!("http://{address}")),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
    ]
}

/// Serves the buckets in `folder` until the process ends.
#[expect(
    clippy::print_stderr,
    reason = "it says where it listens as an origin does, in its log"
)]
pub async fn serve(folder: &str) -> Result<()> {
    let files = FileSystem::new(Path::new(folder))
        .ok()
        .context("the folder")?;
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
    let service = HandleError::new(builder.build(), |error: s3s::HttpError| async move {
        (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:?}"))
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("listening on {}", listener.local_addr()?);
    axum::serve(listener, Router::new().fallback_service(service)).await?;
    Ok(())
}
