//! `ControlNet`s, T2I-Adapters and edges by themselves; on whole runs they are [`super::runs`]'
//! business.

use burn::tensor::Tensor;

use super::compare::{Comparison, Measure};
use super::fixtures::Case;
use super::unet::{Inputs, inputs};
use super::{CaseError, Outcome, Setup};
use crate::Picture;
use crate::control::{ControlNetModel, T2iAdapter};

pub(super) fn check_controlnet(setup: &Setup, case: &Case) -> Result<Outcome, CaseError> {
    let folder: String = case.argument("folder")?;
    let part = setup.network::<ControlNetModel>(&folder)?;
    let model = part.network()?;
    let Inputs {
        sample,
        timesteps,
        conditioning,
    } = inputs(setup, case)?;
    let scale: Option<f64> = case.argument("conditioning_scale")?;
    let residuals = model.forward(
        sample,
        &model.hint(setup.input(case, "controlnet_cond")?),
        &timesteps,
        &conditioning,
        scale.unwrap_or(1.0),
        case.argument("guess_mode")?,
    );
    let mut parts = vec![setup.stage(case, "mid", residuals.mid)?];
    parts.extend(numbered(setup, case, "down", residuals.down)?);
    Ok(Outcome::Compared(parts))
}

pub(super) fn check_adapter(setup: &Setup, case: &Case) -> Result<Outcome, CaseError> {
    let folder: String = case.argument("folder")?;
    let part = setup.network::<T2iAdapter>(&folder)?;
    let features = part.network()?.forward(setup.input(case, "image")?);
    let parts = numbered(setup, case, "feature", features)?;
    Ok(Outcome::Compared(parts))
}

fn numbered(
    setup: &Setup,
    case: &Case,
    name: &str,
    ours: Vec<Tensor<4>>,
) -> Result<Vec<Comparison>, CaseError> {
    if case.has(&format!("{name}_{}", ours.len())) {
        let message = format!("more `{name}`s than the {} here", ours.len());
        return Err(CaseError::Form(message));
    }
    let ours = ours.into_iter().enumerate();
    ours.map(|(i, ours)| setup.stage(case, &format!("{name}_{i}"), ours))
        .collect()
}

/// Edges are the same or they are not.
pub(super) fn check_canny(setup: &Setup, case: &Case) -> Result<Outcome, CaseError> {
    let image = setup.fixtures.picture(case, "image")?;
    let edges: Picture = image.canny(case.argument("low")?, case.argument("high")?)?;
    let ours: Vec<f32> = edges.rgb.iter().step_by(3).map(|v| f32::from(*v)).collect();
    let (reference, _) = setup.fixtures.values(case, "edges")?;
    let exactly = Measure::Relative(0.0);
    Ok(Outcome::Compared(vec![Comparison::new(
        "edges", &ours, &reference, exactly,
    )]))
}
