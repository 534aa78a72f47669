//! Schedulers: timesteps, noise levels, every step from given answers.

use burn::tensor::{Device, Tensor};
use serde_json::{Map, Value};

use super::compare::{Comparison, STAGE};
use super::fixtures::{Case, Fixtures};
use super::{CaseError, Outcome, Setup};
use crate::pipeline::read;
use crate::scheduler::{History, Plan, Schedule, SchedulerClass, StepOptions, Steps};

pub(super) fn check(setup: &Setup, case: &Case) -> Result<Outcome, CaseError> {
    let (fixtures, device) = (&setup.fixtures, &setup.device);
    let class: String = case.argument("cls")?;
    let steps = match (
        case.argument::<Option<Vec<f64>>>("timesteps")?,
        case.argument::<Option<Vec<f64>>>("sigmas")?,
    ) {
        (Some(timesteps), _) => Steps::Timesteps(timesteps),
        (_, Some(sigmas)) => Steps::Sigmas(sigmas),
        _ => Steps::Count(case.argument("steps")?),
    };
    let schedule = match schedule(&class, &case.argument("config")?, &steps) {
        Ok(schedule) => schedule,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let eta = case.argument("eta")?;
    let plan = schedule.plan(0, StepOptions { eta });
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
    parts.extend(steps_of(fixtures, case, &plan, device)?);
    parts.push(added_noise(fixtures, case, &plan, device)?);
    Ok(Outcome::Compared(parts))
}

/// The schedule of a class as diffusers names it, or why this version has none.
pub(super) fn schedule(
    class: &str,
    config: &Map<String, Value>,
    steps: &Steps,
) -> Result<Schedule, String> {
    let Some(class) = SchedulerClass::parse(class) else {
        return Err(format!("{class} is not known"));
    };
    // An option or a value that is not known is a feature to come, not a disagreement.
    let schedule = class
        .configure(config)
        .and_then(|config| config.schedule(class, steps));
    schedule.map_err(|error| error.to_string())
}

fn levels(fixtures: &Fixtures, case: &Case, plan: &Plan) -> Result<Comparison, CaseError> {
    let (reference, _) = fixtures.values(case, "timesteps")?;
    let ours: Vec<f32> = plan.steps.iter().map(|step| step.timestep as f32).collect();
    Ok(Comparison::new("timesteps", &ours, &reference, STAGE))
}

fn steps_of(
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
        sample = step.apply(&row(&outputs, i), sample, fresh, &mut history);
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
