//! What a case's pipeline of diffusers was called with, as a run of ours.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::fixtures::Case;
use super::text::number;
use super::{CaseError, Setup};
use crate::model::{ModelFiles, PartFiles, TextFiles};
use crate::pipeline::{Control, Latents, Mask, Pipeline, Run, Sizes, Start};
use crate::scheduler::Steps;
use crate::weights::read_json;

/// Arguments of the pipelines that are understood here.
pub(super) const ARGUMENTS: [&str; 32] = [
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

pub(super) fn value<T: DeserializeOwned>(value: &Value, name: &str) -> Result<T, CaseError> {
    serde_json::from_value(value.clone())
        .map_err(|error| CaseError::Form(format!("{name}: {error}")))
}

pub(super) fn optional<T: DeserializeOwned>(
    arguments: &Map<String, Value>,
    name: &str,
) -> Result<Option<T>, CaseError> {
    let given = arguments.get(name).filter(|value| !value.is_null());
    given.map(|given| value(given, name)).transpose()
}

pub(super) fn steps(arguments: &Map<String, Value>) -> Result<Steps, CaseError> {
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
pub(super) fn model_files(
    setup: &Setup,
    files: &Map<String, Value>,
) -> Result<ModelFiles, CaseError> {
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
pub(super) fn run(
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
pub(super) fn controls(
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
