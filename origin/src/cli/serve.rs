//! `darkroom serve`

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use darkroom_origin::addresses::Addresses;
use darkroom_origin::cause::chain;
use darkroom_origin::config::{Config, Layers};
use darkroom_origin::engine::{Engine, SdxlEngine};
use darkroom_origin::service::{Service, ServiceOptions};
use darkroom_origin::storage::{Folder, S3, Storage};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use super::Failure;
use super::flags::SettingFlags;

/// How long what runs may take to finish once the service was told to end.
const GRACE: Duration = Duration::from_secs(10);
/// How long the last answers may take to be read after that.
const CLOSING: Duration = Duration::from_secs(3);

/// Runs the service until it is told to end.
pub fn run(file: Option<&Path>, flags: SettingFlags) -> Result<(), Failure> {
    let layers = Layers::gather(file, flags.0).map_err(Failure::input)?;
    let config = Config::read(&layers).map_err(Failure::input)?;
    log_json(&config.log).map_err(Failure::input)?;
    let _alone = lock(&config.data_dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let result = runtime.block_on(serve(config));
    // A step that is still being computed must not hold up the end.
    runtime.shutdown_background();
    Ok(result?)
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = listener.local_addr().context("the socket has no address")?;
    let (model, device) = (config.model.clone(), config.device);
    let service = Service::start(options(config), move || {
        let engine = SdxlEngine::open(&model, device)?;
        tracing::info!(device = engine.device(), "the model is loaded");
        Ok(Box::new(engine) as Box<dyn Engine>)
    })
    .await?;
    tracing::info!(%address, "listening");

    let (close, mut closing) = watch::channel(());
    let router = service.router();
    let server = tokio::spawn(async move {
        axum::serve(listener, router)
            .with_graceful_shutdown(async move { drop(closing.changed().await) })
            .await
    });
    let ended = until_told_or_broken(&service).await;
    service.begin_draining();
    close.send_replace(());
    service.drain(GRACE).await?;
    // Answers that are still being sent may finish; a caller that does not read may not.
    if let Ok(served) = tokio::time::timeout(CLOSING, server).await {
        served
            .context("the server panicked")?
            .context("the server failed")?;
    } else {
        tracing::warn!("connections were cut off");
    }
    ended
}

/// Returns when a signal asks for the end, or the engine cannot be loaded.
async fn until_told_or_broken(service: &Service) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("no signals here")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("no signals here")?;
    let told = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("told to end");
    };
    let broken = async {
        match service.engine_ready().await {
            // Ready is no reason to end.
            Ok(()) => std::future::pending().await,
            Err(failure) => anyhow!("{}", chain(&**failure)),
        }
    };
    tokio::select! {
        () = told => Ok(()),
        failure = broken => Err(failure),
    }
}

fn options(config: Config) -> ServiceOptions {
    let addresses = match &config.cloudfront_domain {
        Some(domain) => Addresses::cloudfront(domain),
        None => Addresses::edge(config.public_url.as_str()),
    };
    let storage = match config.bucket {
        Some(bucket) => Storage::S3(S3::new(bucket)),
        None => Storage::Folder(Folder::new(config.data_dir.join("objects"))),
    };
    ServiceOptions {
        secrets: config.origin_secrets,
        addresses,
        queue_limit: config.queue_limit,
        database: config.database,
        storage,
        spool: config.data_dir.join("spool"),
    }
}

/// Two services in one data folder would make each other's jobs: the second does not start.
/// The lock ends with the process, however that ends.
fn lock(data_dir: &Path) -> anyhow::Result<File> {
    let folder = data_dir.display();
    std::fs::create_dir_all(data_dir)
        .with_context(|| format!("the data folder `{folder}` cannot be made"))?;
    let file = File::create(data_dir.join("lock"))
        .with_context(|| format!("the data folder `{folder}` cannot be written to"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(anyhow!(
            "another darkroom serves from the data folder `{folder}`: stop it, or set \
             DARKROOM_DATA_DIR to another folder"
        )),
        Err(std::fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("the data folder `{folder}` cannot be locked"))
        }
    }
}

/// One JSON object a line, on standard error.
fn log_json(filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).context("DARKROOM_LOG cannot be read")?;
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .init();
    // A panic is a line like the others; the default would print it in a form of its own.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let text = panic.payload_as_str().unwrap_or("a panic without a text");
        tracing::error!(place, text, "panicked");
    }));
    Ok(())
}
