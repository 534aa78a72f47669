//! Whole runs, free and step by step.

use std::ops::ControlFlow;

use burn::tensor::{Device, Tensor};
use serde_json::{Map, Value};

use super::compare::{Comparison, RUN, STAGE};
use super::fixtures::{Case, Fixtures};
use super::schedulers::{self, row};
use super::text::{number, prompts};
use super::{CaseError, Outcome};
use crate::denoise::{Guided, denoise};
use crate::pipeline::{Pipeline, read};
use crate::scheduler::{History, Plan, SchedulerClass};
use crate::unet::Conditioning;

/// Arguments of the pipeline that are understood here.
const ARGUMENTS: [&str; 18] = [
    "prompt",
    "prompt_2",
    "negative_prompt",
    "negative_prompt_2",
    "clip_skip",
    "num_images_per_prompt",
    "num_inference_steps",
    "guidance_scale",
    "guidance_rescale",
    "denoising_end",
    "height",
    "width",
    "original_size",
    "crops_coords_top_left",
    "target_size",
    "negative_original_size",
    "negative_crops_coords_top_left",
    "negative_target_size",
];

pub(super) fn check(
    fixtures: &Fixtures,
    case: &Case,
    device: &Device,
) -> Result<Outcome, CaseError> {
    let plan = match plan(case)? {
        Ok(plan) => plan,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let pipeline = Pipeline::load_on(&fixtures.path("pipeline"), device)?;
    let guided = guided(&pipeline, case)?;
    let reference: Tensor<5> = fixtures.tensor(case, "step_latents", device)?;
    let unit: Tensor<4> = fixtures.tensor(case, "latents", device)?;
    let start = unit.mul_scalar(plan.init_noise_sigma);

    let tape = tape(fixtures, case, &plan, device)?;

    let mut parts = steps(&guided, &plan, start.clone(), &tape, &reference)?;
    let last = read(row(&reference, plan.steps.len() - 1))?;
    let tolerance = run_tolerance(case, &last)?;
    let mut fresh = tape.iter().cloned();
    let latents = denoise(
        &guided,
        &plan,
        start,
        &mut || {
            fresh
                .next()
                .expect("the tape is as long as the plan wants it")
        },
        &mut |_, _| ControlFlow::Continue(()),
    )?;
    parts.push(Comparison::new(
        "latents",
        &read(latents.clone())?,
        &last,
        tolerance,
    ));
    let (image, _) = fixtures.values(case, "image")?;
    let pixels = read(pipeline.decode_unit(latents))?;
    parts.push(Comparison::new("image", &pixels, &image, tolerance));
    Ok(Outcome::Compared(parts))
}

/// The plan of a run this version can do, or why it cannot.
fn plan(case: &Case) -> Result<Result<Plan, String>, CaseError> {
    let pipeline: String = case.argument("pipeline")?;
    if pipeline != "StableDiffusionXLPipeline" {
        return Ok(Err(format!("{pipeline} is not known")));
    }
    let files: Map<String, Value> = case.argument("files")?;
    if files.contains_key("lora") {
        return Ok(Err("LoRA is not known".to_owned()));
    }
    let class: String = case.argument("scheduler")?;
    let Some(class) = SchedulerClass::parse(&class) else {
        return Ok(Err(format!("{class} is not known")));
    };
    let arguments: Map<String, Value> = case.argument("args")?;
    let unknown = arguments
        .keys()
        .find(|name| !ARGUMENTS.contains(&name.as_str()));
    if let Some(name) = unknown {
        return Ok(Err(format!("argument `{name}` is not known")));
    }
    let steps = number(&arguments, "num_inference_steps").unwrap_or(50.0) as usize;
    let mut plan = match schedulers::plan(case, "scheduler_config", class, steps)? {
        Ok(plan) => plan,
        Err(reason) => return Ok(Err(reason)),
    };
    if let Some(end) = number(&arguments, "denoising_end") {
        let config: Map<String, Value> = case.argument("scheduler_config")?;
        let trained = number(&config, "num_train_timesteps").unwrap_or(1000.0);
        let cutoff = (trained - end * trained).round_ties_even();
        plan.steps.retain(|step| step.timestep >= cutoff);
    }
    Ok(Ok(plan))
}

/// The run's conditioning, out of the pipeline's keyword arguments.
fn guided<'a>(pipeline: &'a Pipeline, case: &Case) -> Result<Guided<'a>, CaseError> {
    let arguments: Map<String, Value> = case.argument("args")?;
    let (positive, negative) = pipeline.prompts().encode(&prompts(&arguments)?)?;
    let batch = positive.context.dims()[0];
    let size = |name: &str| -> Result<Option<[f32; 2]>, CaseError> {
        arguments
            .get(name)
            .map(|value| serde_json::from_value(value.clone()))
            .transpose()
            .map_err(|error| CaseError::Form(format!("{name}: {error}")))
    };
    let side = |name| number(&arguments, name).map(|pixels| pixels as f32);
    let (Some(height), Some(width)) = (side("height"), side("width")) else {
        return Err(CaseError::Form("height or width is missing".to_owned()));
    };
    let ids = [
        size("original_size")?.unwrap_or([height, width]),
        size("crops_coords_top_left")?.unwrap_or_default(),
        size("target_size")?.unwrap_or([height, width]),
    ]
    .concat();
    // diffusers takes the negative sizes only where both are given.
    let negative_ids = match (
        size("negative_original_size")?,
        size("negative_target_size")?,
    ) {
        (Some(original), Some(target)) => {
            let crops = size("negative_crops_coords_top_left")?.unwrap_or_default();
            [original, crops, target].concat()
        }
        _ => ids.clone(),
    };
    let condition = |text: crate::text::PromptEmbeddings, ids: Vec<f32>| Conditioning {
        context: text.context,
        pooled: text.pooled,
        time_ids: vec![ids; batch],
    };
    Ok(Guided::new(
        pipeline.unet(),
        condition(positive, ids),
        &condition(negative, negative_ids),
        number(&arguments, "guidance_scale").unwrap_or(5.0),
        number(&arguments, "guidance_rescale").unwrap_or(0.0),
    ))
}

/// The noise the reference drew, a tensor for each step that wants one.
fn tape(
    fixtures: &Fixtures,
    case: &Case,
    plan: &Plan,
    device: &Device,
) -> Result<Vec<Tensor<4>>, CaseError> {
    let wanted = plan.steps.iter().filter(|step| step.wants_noise()).count();
    (0..wanted)
        .map(|i| fixtures.tensor(case, &format!("noise_{i}"), device))
        .collect()
}

/// Every step, begun from the reference's latents of the step before.
fn steps(
    guided: &Guided<'_>,
    plan: &Plan,
    start: Tensor<4>,
    tape: &[Tensor<4>],
    reference: &Tensor<5>,
) -> Result<Vec<Comparison>, CaseError> {
    let mut history = History::default();
    let mut latents = start;
    let mut tape = tape.iter().cloned();
    let mut all = Vec::new();
    for (i, step) in plan.steps.iter().enumerate() {
        let output = guided.predict(step, &latents);
        let fresh = step.wants_noise().then(|| tape.next()).flatten();
        let ours = read(step.apply(output, latents, fresh, &mut history))?;
        latents = row(reference, i);
        let name = format!("step {}", i + 1);
        all.push(Comparison::new(
            &name,
            &ours,
            &read(latents.clone())?,
            STAGE,
        ));
    }
    Ok(all)
}

fn run_tolerance(case: &Case, last: &[f32]) -> Result<f64, CaseError> {
    let drift: f64 = case.argument("drift_after_1e6_nudge")?;
    let largest = last.iter().fold(0.0_f32, |a, b| a.max(b.abs()));
    Ok(RUN.max(3.0 * drift / f64::from(largest)))
}
