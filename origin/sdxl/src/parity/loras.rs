//! LoRAs on the text encoders; on whole runs they are [`super::runs`]' business.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::fixtures::Case;
use super::{CaseError, Outcome, Setup};
use crate::Pipeline;
use crate::lora::{Adapters, Lora};
use crate::model::ModelFiles;

pub(super) fn check(setup: &Setup, case: &Case) -> Result<Outcome, CaseError> {
    let files = ModelFiles::open(&setup.fixtures.path("pipeline"), None)?;
    let pipeline = setup.pipeline(files)?;
    let weight: f64 = case.argument("lora_scale")?;
    let mut parts = Vec::new();
    for lora in open(setup, &pipeline, &names(setup)?)? {
        for (i, text) in pipeline.prompts().parts().iter().enumerate() {
            let name = format!("te{}", i + 1);
            let mut adapters = Adapters::default();
            adapters.add(lora.text_encoder(i == 1), weight);
            let ids = setup.fixtures.case(&format!("text_{name}"))?;
            let ids = setup.fixtures.ids(ids, "ids")?;
            let states = text.encoder.adapted(&adapters)?.forward(&ids);
            let penultimate = states.layers[states.layers.len().saturating_sub(2)].clone();
            parts.push(setup.stage(case, &format!("{name}_penultimate"), penultimate)?);
            if let Some(embeds) = states.text_embeds {
                parts.push(setup.stage(case, &format!("{name}_text_embeds"), embeds)?);
            }
        }
    }
    Ok(Outcome::Compared(parts))
}

/// The files that some run names.
fn names(setup: &Setup) -> Result<Vec<String>, CaseError> {
    for case in setup.fixtures.cases() {
        let files: Map<String, Value> = case.argument("files")?;
        if let Some(names) = files.get("lora") {
            return serde_json::from_value(names.clone())
                .map_err(|error| CaseError::Form(format!("files.lora: {error}")));
        }
    }
    Err(CaseError::Form("no run names a LoRA's file".to_owned()))
}

/// Opens files, each of them one and the same LoRA in another naming.
pub(super) fn open(
    setup: &Setup,
    pipeline: &Pipeline,
    names: &[String],
) -> Result<Vec<Arc<Lora>>, CaseError> {
    let open = |name: &String| Ok(Arc::new(pipeline.load_lora(&setup.fixtures.path(name))?));
    names.iter().map(open).collect()
}
