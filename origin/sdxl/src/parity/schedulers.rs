//! Schedulers: timesteps, noise levels, every step from given answers.

use burn::tensor::{Device, Tensor};

use super::compare::{Comparison, STAGE};
use super::fixtures::{Case, Fixtures};
use super::{CaseError, Outcome};
use crate::pipeline::read;
use crate::scheduler::{History, Plan, SchedulerClass, SchedulerConfig};

pub(super) fn check(
    fixtures: &Fixtures,
    case: &Case,
    device: &Device,
) -> Result<Outcome, CaseError> {
    let class: String = case.argument("cls")?;
    let Some(class) = SchedulerClass::parse(&class) else {
        return Ok(Outcome::Skipped(format!("{class} is not known")));
    };
    let plan = match plan(case, "config", class, case.argument("steps")?)? {
        Ok(plan) => plan,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let mut parts = vec![levels(fixtures, case, &plan)?];
    if case.has("sigmas") {
        let (reference, _) = fixtures.values(case, "sigmas")?;
        let ours: Vec<f32> = plan.steps.iter().map(|step| step.sigma as f32).collect();
        // The reference has one more: the level after the last step.
        let reference = &reference[..reference.len().saturating_sub(1)];
        parts.push(Comparison::new("sigmas", &ours, reference, STAGE));
    }
    let init: f64 = case.argument("init_noise_sigma")?;
    let ours = [plan.init_noise_sigma as f32];
    parts.push(Comparison::new(
        "init_noise_sigma",
        &ours,
        &[init as f32],
        STAGE,
    ));
    parts.extend(steps(fixtures, case, &plan, device)?);
    parts.push(added_noise(fixtures, case, &plan, device)?);
    Ok(Outcome::Compared(parts))
}

/// The plan for a case's scheduler, or why this version has none.
pub(super) fn plan(
    case: &Case,
    argument: &str,
    class: SchedulerClass,
    steps: usize,
) -> Result<Result<Plan, String>, CaseError> {
    // An option or a value that is not known is a feature to come, not a disagreement.
    let config: serde_json::Value = case.argument(argument)?;
    let config: SchedulerConfig = match serde_json::from_value(config) {
        Ok(config) => config,
        Err(error) => return Ok(Err(error.to_string())),
    };
    Ok(config.plan(class, steps).map_err(|error| error.to_string()))
}

fn levels(fixtures: &Fixtures, case: &Case, plan: &Plan) -> Result<Comparison, CaseError> {
    let (reference, _) = fixtures.values(case, "timesteps")?;
    let ours: Vec<f32> = plan.steps.iter().map(|step| step.timestep as f32).collect();
    Ok(Comparison::new("timesteps", &ours, &reference, STAGE))
}

fn steps(
    fixtures: &Fixtures,
    case: &Case,
    plan: &Plan,
    device: &Device,
) -> Result<Vec<Comparison>, CaseError> {
    let outputs: Tensor<5> = fixtures.tensor(case, "model_outputs", device)?;
    let mut sample: Tensor<4> = fixtures.tensor(case, "start", device)?;
    let noise: Option<Tensor<5>> = case
        .has("noise")
        .then(|| fixtures.tensor(case, "noise", device))
        .transpose()?;
    let mut history = History::default();
    let mut drawn = 0;
    let (mut scaled, mut samples) = (Vec::new(), Vec::new());
    for (i, step) in plan.steps.iter().enumerate() {
        scaled.extend(read(step.scale_model_input(sample.clone()))?);
        let fresh = noise.as_ref().filter(|_| step.wants_noise()).map(|tape| {
            drawn += 1;
            row(tape, drawn - 1)
        });
        sample = step.apply(row(&outputs, i), sample, fresh, &mut history);
        samples.extend(read(sample.clone())?);
    }
    let mut parts = Vec::new();
    for (part, ours) in [("scaled_inputs", scaled), ("samples", samples)] {
        let (reference, _) = fixtures.values(case, part)?;
        parts.push(Comparison::new(part, &ours, &reference, STAGE));
    }
    Ok(parts)
}

fn added_noise(
    fixtures: &Fixtures,
    case: &Case,
    plan: &Plan,
    device: &Device,
) -> Result<Comparison, CaseError> {
    let (timestep, _) = fixtures.values(case, "add_timestep")?;
    let wanted = f64::from(timestep.first().copied().unwrap_or_default());
    let at = |step: &&crate::scheduler::Step| (step.timestep - wanted).abs() < 1e-3;
    let step =
        plan.steps.iter().find(at).ok_or_else(|| {
            CaseError::Form(format!("add_timestep {wanted} is visited by no step"))
        })?;
    let base = fixtures.tensor(case, "add_base", device)?;
    let noise = fixtures.tensor(case, "add_noise", device)?;
    let (reference, _) = fixtures.values(case, "add_result")?;
    let ours = read(step.add_noise(base, noise))?;
    Ok(Comparison::new("add_result", &ours, &reference, STAGE))
}

/// The `index`-th of a stack of tensors.
pub(super) fn row(stack: &Tensor<5>, index: usize) -> Tensor<4> {
    stack.clone().narrow(0, index, 1).squeeze_dim(0)
}
