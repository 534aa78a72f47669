//! `darkroom serve`

use std::future::pending;
use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use darkroom_origin::cause::chain;
use darkroom_origin::config::{Config, ConfigError, Layers, settings};
use darkroom_origin::engine::{Engine, SdxlEngine};
use darkroom_origin::listening::{self, Limits};
use darkroom_origin::service::{Service, ServiceOptions};
use darkroom_origin::traces::Traces;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use super::Failure;
use super::flags::SettingFlags;
use super::lock::lock;

/// How long what runs may take to finish once the service was told to end.
const GRACE: Duration = Duration::from_secs(10);
/// How long the last answers may take to be read after that.
const CLOSING: Duration = Duration::from_secs(3);
/// Connections to the operator's listener.
const OPERATORS: usize = 64;

/// Runs the service until it is told to end.
pub fn run(file: Option<&Path>, flags: SettingFlags) -> Result<(), Failure> {
    let layers = Layers::gather(file, flags.0).map_err(Failure::input)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let (config, traces) = read(&layers, &runtime).map_err(Failure::input)?;
    log_json(&config.log).map_err(Failure::input)?;
    let _alone = lock(&config)?;
    let result = runtime.block_on(serve(config, traces));
    // A step that is still being computed must not hold up the end.
    runtime.shutdown_background();
    Ok(result?)
}

/// The settings, and where the standard variables send traces; or what is wrong with either.
fn read(layers: &Layers, runtime: &Runtime) -> Result<(Config, Traces), ConfigError> {
    let _within = runtime.enter();
    let traces = Traces::from_environment().map_err(|error| chain(&error));
    match (Config::read(layers), traces) {
        (Ok(config), Ok(traces)) => Ok((config, traces)),
        (config, traces) => {
            let mut wrong = config.err().map_or_else(Vec::new, |error| error.0);
            wrong.extend(traces.err());
            Err(ConfigError(wrong))
        }
    }
}

async fn serve(config: Config, traces: Traces) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = listener.local_addr().context("the socket has no address")?;
    let admin_listener = match config.admin_listen {
        Some(address) => Some(TcpListener::bind(address).await.with_context(|| {
            let name = settings::ADMIN_LISTEN.name;
            format!("cannot listen on {address}: set {name} to another, or to `off`")
        })?),
        None => None,
    };
    let (model, device) = (config.model.clone(), config.device);
    let (embed_recipe, is_signing) = (config.embed_recipe, config.signer.is_some());
    let limits = Limits::of(config.connections);
    let options = ServiceOptions {
        traces,
        ..ServiceOptions::try_from(config)?
    };
    let service = Service::start(options, move || {
        let engine = SdxlEngine::open(&model, device)?;
        let engine = if embed_recipe {
            engine
        } else {
            engine.without_recipes_in_files()
        };
        let engine = if is_signing {
            engine.with_signed_files()
        } else {
            engine
        };
        tracing::info!(device = engine.device(), "the model is loaded");
        Ok(Box::new(engine) as Box<dyn Engine>)
    })
    .await?;
    if let Some(listener) = admin_listener {
        let address = listener.local_addr().context("the socket has no address")?;
        let router = service.admin_router();
        // To the process's end: how it drains is what the operator wants to see.
        let limits = Limits::of(OPERATORS);
        let serving = listening::serve(listener, router, limits, pending());
        service.vital().spawn("operator's listener", serving);
        tracing::info!(%address, "the operator's routes are open");
    }
    tracing::info!(%address, "listening");

    let (close, mut closing) = watch::channel(());
    let router = service.router();
    let closed = async move { drop(closing.changed().await) };
    let serving = listening::serve(listener, router, limits, closed);
    let server = service.vital().spawn("listener", serving);
    let ended = tokio::select! {
        () = signals.next() => {
            // In this order: who reads the log may ask at once.
            service.begin_draining();
            tracing::info!("told to end");
            Ok(())
        }
        failure = service.broken() => Err(anyhow!("{}", chain(&**failure))),
    };
    tokio::select! {
        drained = service.drain(GRACE) => drained?,
        () = signals.next() => bail!("told twice to end: what ran is queued at the next start"),
    }
    // Not before: who asks whether this machine is ready must be told that it is about to stop.
    close.send_replace(());
    // Answers that are still being sent may finish; a caller that does not read may not.
    if let Ok(served) = tokio::time::timeout(CLOSING, server).await {
        served.context("the server panicked")?;
    } else {
        tracing::warn!("connections were cut off");
    }
    ended
}

/// The signals that ask for the end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let new = |kind| signal(kind).context("no signals here");
        Ok(Self {
            terminate: new(SignalKind::terminate())?,
            interrupt: new(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
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
