//! Whole runs, free and step by step.

use std::ops::ControlFlow;
use std::sync::Arc;

use burn::tensor::Tensor;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::compare::{Comparison, Measure, RUN, STAGE, turned};
use super::fixtures::Case;
use super::nudge::{Nudge, roundings};
use super::schedulers::{self, row};
use super::text::{number, prompts};
use super::{CaseError, Outcome, Setup, loras};
use crate::Precision;
use crate::model::{ModelFiles, PartFiles, TextFiles};
use crate::noise::NoiseStream;
use crate::pipeline::{
    Control, Latents, Mask, Pipeline, Prepared, Resumed, Run, Sizes, Start, denoise, read,
};
use crate::scheduler::{Schedule, Steps};
use crate::text::Prompts;
use crate::weights::read_json;

/// Arguments of the pipelines that are understood here.
const ARGUMENTS: [&str; 32] = [
    "prompt",
    "prompt_2",
    "negative_prompt",
    "negative_prompt_2",
    "syntax",
    "clip_skip",
    "num_images_per_prompt",
    "num_inference_steps",
    "timesteps",
    "sigmas",
    "eta",
    "guidance_scale",
    "guidance_rescale",
    "denoising_start",
    "denoising_end",
    "strength",
    "height",
    "width",
    "original_size",
    "crops_coords_top_left",
    "target_size",
    "negative_original_size",
    "negative_crops_coords_top_left",
    "negative_target_size",
    "aesthetic_score",
    "negative_aesthetic_score",
    "controlnet_conditioning_scale",
    "control_guidance_start",
    "control_guidance_end",
    "guess_mode",
    "adapter_conditioning_scale",
    "adapter_conditioning_factor",
];

pub(super) fn check(setup: &Setup, case: &Case) -> Result<Outcome, CaseError> {
    let arguments: Map<String, Value> = case.argument("args")?;
    let unknown = arguments
        .keys()
        .find(|name| !ARGUMENTS.contains(&name.as_str()));
    if let Some(name) = unknown {
        return Ok(Outcome::Skipped(format!("argument `{name}` is not known")));
    }
    let class: String = case.argument("scheduler")?;
    let steps = steps(&arguments)?;
    let config = case.argument("scheduler_config")?;
    let schedule = match schedulers::schedule(&class, &config, &steps) {
        Ok(schedule) => schedule,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let files: Map<String, Value> = case.argument("files")?;
    let pipeline = setup.pipeline(model_files(setup, &files)?)?;
    let mut run = run(setup, case, &pipeline, &arguments)?;
    run.steps = steps;
    run.controls = controls(setup, case, &pipeline, &files, &arguments)?;
    run.guess_mode = optional(&arguments, "guess_mode")?.unwrap_or(false);
    let prompts = prompts(&arguments)?;
    let mut parts = Vec::new();
    if let Some(names) = files.get("lora") {
        let weight = number(&files, "lora_scale").unwrap_or(1.0);
        let names: Vec<String> = value(names, "files.lora")?;
        for lora in loras::open(setup, &pipeline, &names)? {
            run.loras = vec![(lora, weight)];
            parts.extend(compare(setup, case, &pipeline, &run, &prompts, &schedule)?);
        }
    } else {
        parts = compare(setup, case, &pipeline, &run, &prompts, &schedule)?;
    }
    Ok(Outcome::Compared(parts))
}

fn value<T: DeserializeOwned>(value: &Value, name: &str) -> Result<T, CaseError> {
    serde_json::from_value(value.clone())
        .map_err(|error| CaseError::Form(format!("{name}: {error}")))
}

fn optional<T: DeserializeOwned>(
    arguments: &Map<String, Value>,
    name: &str,
) -> Result<Option<T>, CaseError> {
    let given = arguments.get(name).filter(|value| !value.is_null());
    given.map(|given| value(given, name)).transpose()
}

fn steps(arguments: &Map<String, Value>) -> Result<Steps, CaseError> {
    if let Some(timesteps) = optional(arguments, "timesteps")? {
        return Ok(Steps::Timesteps(timesteps));
    }
    if let Some(sigmas) = optional(arguments, "sigmas")? {
        return Ok(Steps::Sigmas(sigmas));
    }
    let count = number(arguments, "num_inference_steps").unwrap_or(50.0);
    Ok(Steps::Count(count as usize))
}

/// `all` names a whole model, other names parts that are used instead, or alone.
fn model_files(setup: &Setup, files: &Map<String, Value>) -> Result<ModelFiles, CaseError> {
    let path = |name: &str| {
        let path = files.get(name).and_then(Value::as_str);
        path.map(|path| setup.fixtures.path(path))
    };
    let needed =
        |name: &str| path(name).ok_or_else(|| CaseError::Form(format!("files.{name} is missing")));
    if let Some(all) = path("all") {
        let mut model = ModelFiles::open(&all, path("config").as_deref())?;
        if let Some(unet) = path("unet") {
            model.replace_unet(&unet)?;
        }
        if let Some(vae) = path("vae") {
            model.replace_vae(&vae)?;
        }
        return Ok(model);
    }
    let mut text = Vec::new();
    for (encoder, tokenizer) in [
        ("text_encoder", "tokenizer"),
        ("text_encoder_2", "tokenizer_2"),
    ] {
        if let Some(encoder) = path(encoder) {
            text.push(TextFiles::folders(&encoder, &needed(tokenizer)?)?);
        }
    }
    let unet = needed("unet")?;
    // The model whose UNet it is says how it is used.
    let model = unet.parent().unwrap_or(&unet);
    Ok(ModelFiles {
        index: read_json(&model.join("model_index.json"))?,
        text,
        unet: PartFiles::folder(&unet)?,
        vae: PartFiles::folder(&needed("vae")?)?,
        scheduler: read_json(&model.join("scheduler").join("scheduler_config.json"))?,
        defaults: None,
    })
}

/// What a pipeline of diffusers was called with.
fn run(
    setup: &Setup,
    case: &Case,
    pipeline: &Pipeline,
    arguments: &Map<String, Value>,
) -> Result<Run, CaseError> {
    let defaults = pipeline.defaults();
    let mut run = defaults.run("");
    let (start, size) = start(setup, case, arguments)?;
    let side = |name, found| number(arguments, name).map_or(found, |pixels| pixels as u32);
    (run.height, run.width) = (side("height", size[0]), side("width", size[1]));
    run.start = start;
    let usual = match case.argument::<String>("pipeline")?.as_str() {
        "StableDiffusionXLInpaintPipeline" => 7.5,
        _ => 5.0,
    };
    run.guidance.scale = number(arguments, "guidance_scale").unwrap_or(usual);
    run.guidance.rescale = number(arguments, "guidance_rescale").unwrap_or(0.0);
    run.denoising_start = number(arguments, "denoising_start");
    run.denoising_end = number(arguments, "denoising_end");
    run.eta = number(arguments, "eta");
    let usual = Sizes::default();
    run.sizes = Sizes {
        original_size: optional(arguments, "original_size")?,
        crops_coords_top_left: optional(arguments, "crops_coords_top_left")?.unwrap_or_default(),
        target_size: optional(arguments, "target_size")?,
        negative_original_size: optional(arguments, "negative_original_size")?,
        negative_crops_coords_top_left: optional(arguments, "negative_crops_coords_top_left")?
            .unwrap_or_default(),
        negative_target_size: optional(arguments, "negative_target_size")?,
        aesthetic_score: number(arguments, "aesthetic_score").unwrap_or(usual.aesthetic_score),
        negative_aesthetic_score: number(arguments, "negative_aesthetic_score")
            .unwrap_or(usual.negative_aesthetic_score),
    };
    Ok(run)
}

/// The pictures that steer a run, in the order of what `files` says makes something of them.
fn controls(
    setup: &Setup,
    case: &Case,
    pipeline: &Pipeline,
    files: &Map<String, Value>,
    arguments: &Map<String, Value>,
) -> Result<Vec<Control>, CaseError> {
    let names = |kind| optional::<Vec<String>>(files, kind);
    let (names, scale, end) = match names("controlnet")? {
        Some(names) => (
            names,
            "controlnet_conditioning_scale",
            "control_guidance_end",
        ),
        None => (
            names("t2i_adapter")?.unwrap_or_default(),
            "adapter_conditioning_scale",
            "adapter_conditioning_factor",
        ),
    };
    let usual = match case.argument::<String>("pipeline")?.as_str() {
        "StableDiffusionXLControlNetImg2ImgPipeline" => 0.8,
        _ => 1.0,
    };
    let each = |name, usual| -> Result<Vec<f64>, CaseError> {
        match arguments.get(name) {
            Some(Value::Array(_)) => Ok(optional(arguments, name)?.unwrap_or_default()),
            _ => Ok(vec![number(arguments, name).unwrap_or(usual); names.len()]),
        }
    };
    let (scales, ends) = (each(scale, usual)?, each(end, 1.0)?);
    let starts = each("control_guidance_start", 0.0)?;
    let shares = scales.into_iter().zip(starts.into_iter().zip(ends));
    let named = names.iter().enumerate().zip(shares);
    named
        .map(|((i, name), (scale, (start, end)))| {
            let model = pipeline.load_control(&setup.fixtures.path(name))?;
            let image = format!("control_image_{i}");
            Ok(Control {
                model: Arc::new(model),
                image: setup.fixtures.picture(case, &image)?,
                scale,
                start,
                end,
            })
        })
        .collect()
}

/// What a run begins with, and its `[height, width]`.
fn start(
    setup: &Setup,
    case: &Case,
    arguments: &Map<String, Value>,
) -> Result<(Start, [u32; 2]), CaseError> {
    let fixtures = &setup.fixtures;
    if case.has("input_latents") {
        let (values, shape) = fixtures.values(case, "input_latents")?;
        let shape: [usize; 4] = shape
            .try_into()
            .map_err(|shape| CaseError::Form(format!("input_latents has shape {shape:?}")))?;
        // Every reference VAE has four levels.
        let size = [8 * shape[2] as u32, 8 * shape[3] as u32];
        return Ok((Start::Latents(Latents { shape, values }), size));
    }
    if !case.has("input_image") {
        return Ok((Start::Noise, [0, 0]));
    }
    let image = fixtures.picture(case, "input_image")?;
    let (height, width) = (image.height, image.width);
    let pipeline: String = case.argument("pipeline")?;
    let inpaints = pipeline.contains("Inpaint");
    let usual = match pipeline.as_str() {
        "StableDiffusionXLControlNetImg2ImgPipeline" => 0.8,
        _ if inpaints => 0.9999,
        _ => 0.3,
    };
    let strength = number(arguments, "strength").unwrap_or(usual);
    let start = if inpaints {
        let (values, _) = fixtures.bytes(case, "mask")?;
        let mask = Mask {
            width,
            height,
            values,
        };
        Start::Inpaint {
            image,
            mask,
            strength,
        }
    } else {
        Start::Image { image, strength }
    };
    Ok((start, [height, width]))
}

fn compare(
    setup: &Setup,
    case: &Case,
    pipeline: &Pipeline,
    run: &Run,
    prompts: &Prompts,
    schedule: &Schedule,
) -> Result<Vec<Comparison>, CaseError> {
    let reference: Tensor<5> = setup.fixtures.tensor(case, "step_latents", &setup.device)?;
    let prepare = || -> Result<Prepared<'_>, CaseError> {
        Ok(pipeline.prepare(run, prompts, schedule, tape(setup, case)?)?)
    };
    let count = prepare()?.plan.steps.len();
    if reference.dims()[0] != count {
        let message = format!(
            "{} steps in the reference, {count} here",
            reference.dims()[0]
        );
        return Err(CaseError::Form(message));
    }
    let mut parts = steps_by_themselves(setup, &prepare, &reference)?;

    let last = read(row(&reference, count - 1))?;
    let free = |nudge: Nudge| -> Result<Tensor<4>, CaseError> {
        let mut prepared = prepare()?;
        let mut now = Resumed::new(nudge.apply(prepared.latents.clone()));
        let go_on = &mut |_, _: &_, _: &_| ControlFlow::Continue(());
        denoise(&mut prepared, 0, &mut now, go_on)?;
        Ok(now.latents)
    };
    let latents = free(Nudge::None)?;
    let ours = read(latents.clone())?;
    let measure = match setup.options.precision {
        Precision::F32 => {
            let drift = match case.argument("drift_after_1e6_nudge")? {
                Some(drift) => drift,
                None => drifted(&ours, &free, [1e-6, -1e-6].map(Nudge::Scale), difference)?,
            };
            let largest = difference(&last, &vec![0.0; last.len()]);
            Measure::Relative(RUN.max(3.0 * drift / largest))
        }
        precision => {
            let drift = drifted(&ours, &free, roundings(precision), turned)?;
            steadier(STAGE.of(precision), drift)
        }
    };
    parts.push(Comparison::new("latents", &ours, &last, measure));
    let (image, _) = setup.fixtures.values(case, "image")?;
    let pixels = read(pipeline.decode_unit(latents)?)?;
    parts.push(Comparison::new("image", &pixels, &image, measure));
    Ok(parts)
}

/// How far nudges of a run's start move its end.
fn drifted(
    end: &[f32],
    free: &dyn Fn(Nudge) -> Result<Tensor<4>, CaseError>,
    nudges: [Nudge; 2],
    distance: fn(&[f32], &[f32]) -> f64,
) -> Result<f64, CaseError> {
    let mut most = 0.0_f64;
    for nudge in nudges {
        most = most.max(distance(end, &read(free(nudge)?)?));
    }
    Ok(most)
}

/// A cosine that no engine with 16 bits can be held closer to: one whose start is rounded to them
/// ends that far from where it would have.
fn steadier(measure: Measure, drift: f64) -> Measure {
    match measure {
        Measure::Cosine(least) => Measure::Cosine(least.min(1.0 - 3.0 * drift)),
        Measure::Relative(_) => measure,
    }
}

/// The largest difference of two rows of numbers.
fn difference(a: &[f32], b: &[f32]) -> f64 {
    let differences = a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs()));
    differences.fold(0.0, f64::max)
}

/// The noise that the reference drew, in its order; where a run begins with noise alone that is
/// called `latents`.
fn tape(setup: &Setup, case: &Case) -> Result<NoiseStream, CaseError> {
    let drawn = (0..)
        .map(|i| format!("noise_{i}"))
        .take_while(|name| case.has(name));
    let names = Some("latents".to_owned()).into_iter().chain(drawn);
    let tensors = names
        .filter(|name| case.has(name))
        .map(|name| setup.fixtures.tensor(case, &name, &setup.device))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(NoiseStream::Tape(tensors.into_iter()))
}

/// Every step, begun from the reference's latents of the step before.
fn steps_by_themselves<'a>(
    setup: &Setup,
    prepare: &dyn Fn() -> Result<Prepared<'a>, CaseError>,
    reference: &Tensor<5>,
) -> Result<Vec<Comparison>, CaseError> {
    let ours = guided_by(reference, prepare()?, Nudge::None)?;
    let precision = setup.options.precision;
    let mut nudged = Vec::new();
    if precision != Precision::F32 {
        for nudge in roundings(precision) {
            nudged.push(guided_by(reference, prepare()?, nudge)?);
        }
    }
    let mut parts = Vec::new();
    for (i, ours) in ours.iter().enumerate() {
        let drifts = nudged.iter().map(|nudged| turned(ours, &nudged[i]));
        let measure = steadier(STAGE.of(precision), drifts.fold(0.0, f64::max));
        let theirs = read(row(reference, i))?;
        parts.push(Comparison::new(
            &format!("step {}", i + 1),
            ours,
            &theirs,
            measure,
        ));
    }
    Ok(parts)
}

/// What each step makes of the reference's latents of the step before, nudged.
fn guided_by(
    reference: &Tensor<5>,
    mut prepared: Prepared<'_>,
    nudge: Nudge,
) -> Result<Vec<Vec<f32>>, CaseError> {
    let mut now = Resumed::new(prepared.latents.clone());
    let mut ends = Vec::new();
    for i in 0..prepared.plan.steps.len() {
        now.latents = nudge.apply(now.latents);
        prepared.step(i, &mut now);
        ends.push(read(now.latents)?);
        now.latents = row(reference, i);
    }
    Ok(ends)
}
