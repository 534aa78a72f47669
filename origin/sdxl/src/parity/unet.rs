//! The UNet, stage by stage.

use burn::tensor::Tensor;

use super::fixtures::Case;
use super::{CaseError, Outcome, Setup};
use crate::unet::{Additions, Conditioning, Stages, UNet2DConditionModel};

pub(super) fn check(setup: &Setup, case: &Case) -> Result<Outcome, CaseError> {
    let folder: Option<String> = case.argument("folder")?;
    let folder = folder.unwrap_or_else(|| folder_of(&case.name).to_owned());
    let part = setup.network::<UNet2DConditionModel>(&folder)?;
    let Inputs {
        sample,
        timesteps,
        conditioning,
    } = inputs(setup, case)?;
    let mut stages = Stages::default();
    let model = part.network()?;
    let out = model.forward_observed(
        sample,
        &timesteps,
        &conditioning,
        Additions::default(),
        Some(&mut stages),
    );

    let mut parts = vec![setup.stage(case, "out", out)?];
    for (name, embedding) in [
        ("time_embedding", stages.time_embedding),
        ("add_embedding", stages.add_embedding),
    ] {
        if let Some(embedding) = embedding.filter(|_| case.has(name)) {
            parts.push(setup.stage(case, name, embedding)?);
        }
    }
    for (name, block) in stages.blocks {
        if case.has(&name) {
            parts.push(setup.stage(case, &name, block)?);
        }
    }
    Ok(Outcome::Compared(parts))
}

/// What a UNet or a `ControlNet` is asked.
pub(super) struct Inputs {
    pub sample: Tensor<4>,
    pub timesteps: Vec<f32>,
    pub conditioning: Conditioning,
}

pub(super) fn inputs(setup: &Setup, case: &Case) -> Result<Inputs, CaseError> {
    let fixtures = &setup.fixtures;
    let (timesteps, _) = fixtures.values(case, "timestep")?;
    let (ids, shape) = fixtures.values(case, "time_ids")?;
    let width = shape.last().copied().unwrap_or(1).max(1);
    Ok(Inputs {
        sample: setup.input(case, "sample")?,
        timesteps,
        conditioning: Conditioning {
            context: setup.input(case, "encoder_hidden_states")?,
            pooled: setup.input(case, "text_embeds")?,
            time_ids: ids.chunks(width).map(<[f32]>::to_vec).collect(),
            guidance_scale: case.argument("guidance_scale")?,
        },
    })
}

/// Cases do not say whose UNet they are of, but by their names.
fn folder_of(name: &str) -> &'static str {
    if name.starts_with("unet_inpaint") {
        "inpaint_unet"
    } else if name.starts_with("unet_refiner") {
        "refiner/unet"
    } else {
        "pipeline/unet"
    }
}
