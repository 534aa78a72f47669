//! `darkroom generate`

use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;
use darkroom_origin::config::settings;
use darkroom_origin::encode::{FORMATS, encode};
use darkroom_origin::engine::{Engine as _, EngineError, SdxlEngine};
use darkroom_origin::{check_writable, write_atomically};
use darkroom_sdxl::DeviceKind;
use darkroom_shared::problem::FieldError;
use darkroom_shared::recipe::Recipe;
use darkroom_shared::request::{Format, GenerateRequest};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use super::{Failure, print};

/// What `darkroom generate` takes.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// What to show
    prompt: String,
    /// File to write; its extension decides the format (png, webp, jpg)
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// What not to show
    #[arg(long, value_name = "TEXT")]
    negative_prompt: Option<String>,
    /// Pixels, a multiple of 8
    #[arg(long, value_name = "PIXELS")]
    width: Option<u32>,
    /// Pixels, a multiple of 8
    #[arg(long, value_name = "PIXELS")]
    height: Option<u32>,
    /// Denoising steps
    #[arg(long, value_name = "NUMBER")]
    steps: Option<u32>,
    /// How closely to follow the prompt; 1 and below is without guidance
    #[arg(long, value_name = "NUMBER")]
    guidance_scale: Option<f64>,
    /// Decides the noise; drawn where it is not given
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// The sampler's name
    #[arg(long, value_name = "NAME")]
    scheduler: Option<String>,
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

/// Makes one picture and writes it to a file.
pub fn run(args: &GenerateArgs) -> Result<(), Failure> {
    // All that can be wrong with the input is found before the model is loaded.
    let request = request(args)?;
    let cannot_write = || format!("`{}` cannot be written", args.output.display());
    check_writable(&args.output)
        .with_context(cannot_write)
        .map_err(Failure::Input)?;
    if !args.model.is_dir() {
        return Err(Failure::Input(anyhow!(
            "the model folder `{}` does not exist: name one with --model",
            args.model.display()
        )));
    }
    let engine = SdxlEngine::open(&args.model, args.device).map_err(anyhow::Error::new)?;
    let seed = getrandom::u64().context("the system has no random numbers")? >> 12;
    let recipe = Recipe::complete(&request, &[engine.model()], seed)
        .map_err(|problem| Failure::Input(wrong_fields(&problem.errors)))?;

    let bar = progress_bar(recipe.steps);
    let picture = engine.generate(&recipe, None, &mut |step| {
        bar.set_position(step.done.into());
        ControlFlow::Continue(())
    });
    bar.finish_and_clear();
    let picture = picture.map_err(|error| match error {
        EngineError::Invalid { .. } => Failure::input(error),
        other => Failure::Run(other.into()),
    })?;
    let file = encode(&picture, &recipe).context("the picture cannot be encoded")?;
    write_atomically(&args.output, &file).with_context(cannot_write)?;
    if args.json {
        return print::json(&json!({ "file": args.output, "seed": recipe.seed, "recipe": recipe }));
    }
    answer(&args.output, &recipe)?;
    Ok(())
}

/// The same checks, limits and messages as a request to the service gets.
fn request(args: &GenerateArgs) -> Result<GenerateRequest, Failure> {
    let format = format_of(&args.output)?;
    let fields = [
        ("prompt", Some(json!(args.prompt))),
        (
            "negative_prompt",
            args.negative_prompt.as_ref().map(|text| json!(text)),
        ),
        ("width", args.width.map(Value::from)),
        ("height", args.height.map(Value::from)),
        ("steps", args.steps.map(Value::from)),
        ("guidance_scale", args.guidance_scale.map(Value::from)),
        ("seed", args.seed.map(Value::from)),
        ("scheduler", args.scheduler.as_ref().map(|name| json!(name))),
        ("format", Some(json!(format))),
    ];
    let body: Map<String, Value> = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
    GenerateRequest::from_json(Value::Object(body).to_string().as_bytes())
        .map_err(|problem| Failure::Input(wrong_fields(&problem.errors)))
}

/// The fields under the names of their flags.
pub(super) fn wrong_fields(errors: &[FieldError]) -> anyhow::Error {
    let lines: Vec<String> = errors
        .iter()
        .map(|error| {
            let flag = match error.field.as_str() {
                "prompt" => "the prompt".to_owned(),
                field => format!("--{}", field.replace('_', "-")),
            };
            format!("{flag} {}", error.message)
        })
        .collect();
    anyhow!(lines.join("\n       "))
}

fn format_of(output: &Path) -> Result<Format, Failure> {
    let extension = output.extension().and_then(|extension| extension.to_str());
    let extension = extension.unwrap_or_default().to_ascii_lowercase();
    let named = FORMATS
        .iter()
        .copied()
        .find(|format| extension == format.extension() || extension == format.as_str());
    named.ok_or_else(|| {
        let names: Vec<_> = FORMATS.iter().map(|format| format.extension()).collect();
        Failure::Input(anyhow!(
            "`{}` must end in one of: {}",
            output.display(),
            names.join(", ")
        ))
    })
}

/// On standard error, and only where that is a terminal.
fn progress_bar(steps: u32) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} steps, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(steps.into()).with_style(style)
}

/// The file, its seed, and the recipe that makes it again.
fn answer(output: &Path, recipe: &Recipe) -> anyhow::Result<()> {
    let recipe_json = serde_json::to_string(recipe).context("the recipe cannot be written")?;
    writeln!(
        io::stdout(),
        "{} seed {} {recipe_json}",
        output.display(),
        recipe.seed
    )
    .context("the answer cannot be printed")
}
