//! `darkroom serve` with an engine that computes nothing: each step takes `STUB_STEP_MS`
//! milliseconds (20 unless told), and a recipe's picture is noise of its seed. What is around the
//! engine is all real: for faults and benchmarks, where the pictures do not matter.

use std::collections::BTreeMap;
use std::future::pending;
use std::ops::ControlFlow;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use darkroom_origin::config::{Config, Layers};
use darkroom_origin::encode::FORMATS;
use darkroom_origin::engine::{Engine, EngineError, Picture, Start, Step};
use darkroom_origin::listening::{self, Limits};
use darkroom_origin::service::{Service, ServiceOptions};
use darkroom_origin::traces::Traces;
use darkroom_shared::limits::LIMITS;
use darkroom_shared::model::{Defaults, Model};
use darkroom_shared::recipe::Recipe;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::read(&Layers::gather(None, BTreeMap::new())?)?;
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(&config.log)
        .with_writer(std::io::stderr)
        .init();
    let step = std::env::var("STUB_STEP_MS").unwrap_or_else(|_| "20".to_owned());
    let step = Duration::from_millis(step.parse().context("STUB_STEP_MS")?);
    let listener = TcpListener::bind(config.listen).await?;
    let address = listener.local_addr()?;
    let limits = Limits::of(config.connections);
    let mut told = signal(SignalKind::terminate())?;
    let options = ServiceOptions {
        traces: Traces::from_environment()?,
        ..ServiceOptions::try_from(config)?
    };
    let service = Service::start(options, move || Ok(Box::new(Stub { step }))).await?;
    service
        .engine_ready()
        .await
        .map_err(|failure| anyhow::anyhow!("{failure}"))?;
    tracing::info!(%address, "listening");
    let serving = listening::serve(listener, service.router(), limits, pending());
    let server = tokio::spawn(serving);
    told.recv().await;
    service.drain(Duration::from_secs(10)).await?;
    server.abort();
    Ok(())
}

struct Stub {
    step: Duration,
}

impl Engine for Stub {
    fn model(&self) -> Model {
        Model {
            name: "stub".into(),
            revision: "r1".into(),
            engine: "stub/1".into(),
            default: true,
            defaults: Defaults {
                width: 64,
                height: 64,
                steps: 20,
                guidance_scale: 3.0,
                scheduler: "euler".into(),
            },
            schedulers: vec!["euler".into()],
            formats: FORMATS.to_vec(),
            loras: Vec::new(),
            limits: LIMITS,
        }
    }

    fn generate(
        &self,
        recipe: &Recipe,
        _start: Option<&Start>,
        on_step: &mut dyn FnMut(&Step<'_>) -> ControlFlow<()>,
    ) -> Result<Picture, EngineError> {
        self.go_on(recipe, 0, recipe.seed, on_step)
    }

    fn numbers(&self) -> Option<String> {
        Some("stub/1".into())
    }

    fn resume(
        &self,
        recipe: &Recipe,
        _start: Option<&Start>,
        state: &[u8],
        on_step: &mut dyn FnMut(&Step<'_>) -> ControlFlow<()>,
    ) -> Result<Picture, EngineError> {
        let (done, noise) =
            serde_json::from_slice(state).map_err(|error| EngineError::State(error.to_string()))?;
        self.go_on(recipe, done, noise, on_step)
    }
}

impl Stub {
    /// Each step's noise follows from the one before: a run that leaves one out makes another picture.
    fn go_on(
        &self,
        recipe: &Recipe,
        done: u32,
        mut noise: u64,
        on_step: &mut dyn FnMut(&Step<'_>) -> ControlFlow<()>,
    ) -> Result<Picture, EngineError> {
        let (steps, prepared) = (recipe.steps_taken(), Instant::now());
        for done in done + 1..=steps {
            sleep(self.step);
            noise = next(noise);
            let step = Step {
                done,
                steps,
                prepared,
                preview: &|| Ok(picture(recipe, noise)),
                state: &|| Ok(format!("[{done},{noise}]").into_bytes()),
            };
            if on_step(&step).is_break() {
                return Err(EngineError::Canceled);
            }
        }
        Ok(picture(recipe, noise))
    }
}

/// A linear congruential generator (Knuth, MMIX).
fn next(state: u64) -> u64 {
    state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407)
}

/// Its high bits: nothing that an encoder could make smaller.
fn picture(recipe: &Recipe, mut noise: u64) -> Picture {
    let length = 3 * recipe.width as usize * recipe.height as usize;
    let rgb = (0..length)
        .map(|_| {
            noise = next(noise);
            (noise >> 56) as u8
        })
        .collect();
    Picture {
        width: recipe.width,
        height: recipe.height,
        rgb,
    }
}
