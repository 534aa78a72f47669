//! The VAE, both ways.

use super::fixtures::Case;
use super::{CaseError, Outcome, Setup};
use crate::model::PartFiles;
use crate::vae::{AutoencoderKL, AutoencoderTiny, VaeConfig};

pub(super) fn check(setup: &Setup, case: &Case) -> Result<Outcome, CaseError> {
    let folder: Option<String> = case.argument("folder")?;
    let folder = setup
        .fixtures
        .path(folder.as_deref().unwrap_or("pipeline/vae"));
    let mut files = PartFiles::<VaeConfig>::folder(&folder)?;
    files.config.tile = case.argument("tile_latent_min_size")?;
    let part = setup.load::<AutoencoderKL>(files)?;
    let model = part.network()?;
    let moments = model.encode(setup.input(case, "image")?);
    let decoded = model.decode(setup.input(case, "latent")?);
    Ok(Outcome::Compared(vec![
        setup.stage(case, "mean", moments.mean)?,
        setup.stage(case, "logvar", moments.logvar)?,
        setup.stage(case, "decoded", decoded)?,
    ]))
}

/// TAESD, both ways.
pub(super) fn check_tiny(setup: &Setup, case: &Case) -> Result<Outcome, CaseError> {
    let folder: String = case.argument("folder")?;
    let part = setup.network::<AutoencoderTiny>(&folder)?;
    let model = part.network()?;
    Ok(Outcome::Compared(vec![
        setup.stage(case, "encoded", model.encode(setup.input(case, "image")?))?,
        setup.stage(case, "decoded", model.decode(setup.input(case, "latent")?))?,
    ]))
}
