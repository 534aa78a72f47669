//! Whole runs, free and step by step.

use std::ops::ControlFlow;

use burn::tensor::Tensor;
use serde_json::{Map, Value};

use super::call::{self, ARGUMENTS, optional, value};
use super::compare::{Comparison, Measure, RUN, STAGE, turned};
use super::fixtures::Case;
use super::nudge::{Nudge, roundings};
use super::schedulers::{self, row};
use super::text::{number, prompts};
use super::{CaseError, Outcome, Setup, loras};
use crate::Precision;
use crate::noise::NoiseStream;
use crate::pipeline::{Pipeline, Prepared, Resumed, Run, denoise, read};
use crate::scheduler::Schedule;
use crate::text::Prompts;

pub(super) fn check(setup: &Setup, case: &Case) -> Result<Outcome, CaseError> {
    let arguments: Map<String, Value> = case.argument("args")?;
    let unknown = arguments
        .keys()
        .find(|name| !ARGUMENTS.contains(&name.as_str()));
    if let Some(name) = unknown {
        return Ok(Outcome::Skipped(format!("argument `{name}` is not known")));
    }
    let class: String = case.argument("scheduler")?;
    let steps = call::steps(&arguments)?;
    let config = case.argument("scheduler_config")?;
    let schedule = match schedulers::schedule(&class, &config, &steps) {
        Ok(schedule) => schedule,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let files: Map<String, Value> = case.argument("files")?;
    let pipeline = setup.pipeline(call::model_files(setup, &files)?)?;
    let mut run = call::run(setup, case, &pipeline, &arguments)?;
    run.steps = steps;
    run.controls = call::controls(setup, case, &pipeline, &files, &arguments)?;
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
