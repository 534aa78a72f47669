//! `darkroom bench`

mod machine;
mod report;
mod spread;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use clap::Args;
use clap::builder::RangedU64ValueParser;
use darkroom_origin::config::settings;
use darkroom_origin::encode::encode;
use darkroom_origin::engine::{Engine as _, SdxlEngine, StageTimes};
use darkroom_sdxl::DeviceKind;
use darkroom_shared::recipe::Recipe;
use darkroom_shared::request::GenerateRequest;
use serde_json::json;

use super::generate::wrong_fields;
use super::{Failure, print};
use report::Report;

/// What is drawn: how long it takes does not depend on it.
const PROMPT: &str = "a photo of an astronaut riding a horse on mars";

/// What `darkroom bench` takes.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Pixels, a multiple of 8
    #[arg(long, value_name = "PIXELS")]
    width: Option<u32>,
    /// Pixels, a multiple of 8
    #[arg(long, value_name = "PIXELS")]
    height: Option<u32>,
    /// Denoising steps
    #[arg(long, value_name = "NUMBER")]
    steps: Option<u32>,
    /// 1 and below is without guidance, which takes half the time
    #[arg(long, value_name = "NUMBER")]
    guidance_scale: Option<f64>,
    /// The sampler's name
    #[arg(long, value_name = "NAME")]
    scheduler: Option<String>,
    /// Pictures that are made before it counts
    #[arg(long, value_name = "NUMBER", default_value = "1", value_parser = RangedU64ValueParser::<u32>::new().range(..=20))]
    warm_up: u32,
    /// Pictures that count
    #[arg(long, value_name = "NUMBER", default_value = "3", value_parser = RangedU64ValueParser::<u32>::new().range(1..=100))]
    runs: u32,
    /// After so long no other picture is begun
    #[arg(long, value_name = "SECONDS", default_value = "600", value_parser = RangedU64ValueParser::<u32>::new().range(1..=86_400))]
    limit: u32,
    /// Folder of an SDXL model in diffusers layout
    #[arg(long, value_name = "FOLDER", env = settings::MODEL.name, default_value = settings::MODEL.default)]
    model: PathBuf,
    /// What computes: auto, cpu or gpu
    #[arg(long, env = settings::DEVICE.name, default_value = settings::DEVICE.default)]
    device: DeviceKind,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// One picture's times.
#[derive(Clone, Debug)]
struct Run {
    stages: StageTimes,
    encode: Duration,
    whole: Duration,
}

/// Makes pictures one after the other, and says how long each stage takes.
pub fn run(args: &BenchArgs) -> Result<(), Failure> {
    let request = request(args)?;
    if !args.model.is_dir() {
        return Err(Failure::Input(anyhow!(
            "the model folder `{}` does not exist: name one with --model",
            args.model.display()
        )));
    }
    let begun = Instant::now();
    let engine = SdxlEngine::open(&args.model, args.device).map_err(anyhow::Error::new)?;
    let load = begun.elapsed();
    let recipe = Recipe::complete(&request, &[engine.model()], 0)
        .map_err(|problem| Failure::Input(wrong_fields(&problem.errors)))?;
    let (begun, limit) = (Instant::now(), Duration::from_secs(args.limit.into()));
    for _ in 0..args.warm_up {
        time(&engine, &recipe)?;
        if begun.elapsed() > limit {
            return Err(Failure::Run(anyhow!(
                "the time was over before a picture counted: give it more with --limit"
            )));
        }
    }
    let mut runs = vec![time(&engine, &recipe)?];
    while runs.len() < args.runs as usize && begun.elapsed() < limit {
        runs.push(time(&engine, &recipe)?);
    }
    let report = Report {
        recipe,
        device: engine.device(),
        warm_up: args.warm_up,
        load,
        runs,
    };
    if args.json {
        print::json(&report.json())
    } else {
        print::text(&report.text())
    }
}

/// The same checks, limits and messages as a request to the service gets.
fn request(args: &BenchArgs) -> Result<GenerateRequest, Failure> {
    let body = json!({
        "prompt": PROMPT,
        "width": args.width,
        "height": args.height,
        "steps": args.steps,
        "guidance_scale": args.guidance_scale,
        "scheduler": args.scheduler,
        "seed": 0,
    });
    GenerateRequest::from_json(body.to_string().as_bytes())
        .map_err(|problem| Failure::Input(wrong_fields(&problem.errors)))
}

fn time(engine: &SdxlEngine, recipe: &Recipe) -> Result<Run, Failure> {
    let begun = Instant::now();
    let (picture, stages) = engine.time(recipe).map_err(anyhow::Error::new)?;
    let made = Instant::now();
    encode(&picture, recipe).context("the picture cannot be encoded")?;
    Ok(Run {
        stages,
        encode: made.elapsed(),
        whole: begun.elapsed(),
    })
}
