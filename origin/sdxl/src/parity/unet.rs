//! The UNet, stage by stage.

use burn::tensor::Device;

use super::compare::{Comparison, STAGE};
use super::fixtures::{Case, Fixtures};
use super::{CaseError, Outcome};
use crate::pipeline::read;
use crate::unet::{Conditioning, Stages, UNet2DConditionModel};

pub(super) fn check(
    fixtures: &Fixtures,
    case: &Case,
    device: &Device,
) -> Result<Outcome, CaseError> {
    let folder: Option<String> = case.argument("folder")?;
    let folder = folder.unwrap_or_else(|| folder_of(&case.name).to_owned());
    let model = UNet2DConditionModel::load_folder(&fixtures.path(&folder), device)?;
    let (timesteps, _) = fixtures.values(case, "timestep")?;
    let (ids, shape) = fixtures.values(case, "time_ids")?;
    let width = shape.last().copied().unwrap_or(1).max(1);
    let conditioning = Conditioning {
        context: fixtures.tensor(case, "encoder_hidden_states", device)?,
        pooled: fixtures.tensor(case, "text_embeds", device)?,
        time_ids: ids.chunks(width).map(<[f32]>::to_vec).collect(),
    };
    let sample = fixtures.tensor(case, "sample", device)?;
    let mut stages = Stages::default();
    let out = model.forward_observed(sample, &timesteps, &conditioning, Some(&mut stages));

    let mut ours = vec![("out".to_owned(), read(out)?)];
    for (name, embedding) in [
        ("time_embedding", stages.time_embedding),
        ("add_embedding", stages.add_embedding),
    ] {
        if let Some(embedding) = embedding {
            ours.push((name.to_owned(), read(embedding)?));
        }
    }
    for (name, block) in stages.blocks {
        ours.push((name, read(block)?));
    }
    let mut parts = Vec::new();
    for (part, ours) in ours {
        if case.has(&part) {
            let (reference, _) = fixtures.values(case, &part)?;
            parts.push(Comparison::new(&part, &ours, &reference, STAGE));
        }
    }
    Ok(Outcome::Compared(parts))
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
