//! The VAE, both ways.

use burn::tensor::Device;

use super::compare::{Comparison, STAGE};
use super::fixtures::{Case, Fixtures};
use super::{CaseError, Outcome};
use crate::pipeline::read;
use crate::vae::AutoencoderKL;

pub(super) fn check(
    fixtures: &Fixtures,
    case: &Case,
    device: &Device,
) -> Result<Outcome, CaseError> {
    let folder: Option<String> = case.argument("folder")?;
    let folder = folder.as_deref().unwrap_or("pipeline/vae");
    let model = AutoencoderKL::load_folder(&fixtures.path(folder), device)?;
    let moments = model.encode(fixtures.tensor(case, "image", device)?);
    let decoded = model.decode(fixtures.tensor(case, "latent", device)?);
    let mut parts = Vec::new();
    for (part, ours) in [
        ("mean", moments.mean),
        ("logvar", moments.logvar),
        ("decoded", decoded),
    ] {
        let (reference, _) = fixtures.values(case, part)?;
        parts.push(Comparison::new(part, &read(ours)?, &reference, STAGE));
    }
    Ok(Outcome::Compared(parts))
}
