//! Text encoders, and prompts through both of them.

use burn::tensor::Device;
use serde_json::{Map, Value};

use super::compare::{Comparison, STAGE};
use super::fixtures::{Case, Fixtures};
use super::{CaseError, Outcome};
use crate::pipeline::{Pipeline, read};
use crate::text::{Prompts, load_text_encoder};

pub(super) fn check_encoder(
    fixtures: &Fixtures,
    case: &Case,
    device: &Device,
) -> Result<Outcome, CaseError> {
    let folder: String = case.argument("folder")?;
    let model = load_text_encoder(&fixtures.path(&folder), device)?;
    let states = model.forward(&fixtures.ids(case, "ids")?);
    let from_end = |n: usize| states.layers[states.layers.len().saturating_sub(n)].clone();
    let mut parts = Vec::new();
    for (part, ours) in [
        ("penultimate", from_end(2)),
        ("skip_one_more", from_end(3)),
        ("last_hidden_state", states.last.clone()),
    ] {
        let (reference, _) = fixtures.values(case, part)?;
        parts.push(Comparison::new(part, &read(ours)?, &reference, STAGE));
    }
    if case.has("text_embeds") {
        let (reference, _) = fixtures.values(case, "text_embeds")?;
        let ours = states
            .text_embeds
            .map(read)
            .transpose()?
            .unwrap_or_default();
        parts.push(Comparison::new("text_embeds", &ours, &reference, STAGE));
    }
    Ok(Outcome::Compared(parts))
}

pub(super) fn check_prompt(
    fixtures: &Fixtures,
    case: &Case,
    device: &Device,
) -> Result<Outcome, CaseError> {
    let pipeline = Pipeline::load_on(&fixtures.path("pipeline"), device)?;
    let mut arguments: Map<String, Value> = case.argument("args")?;
    arguments.insert("prompt".to_owned(), case.argument::<Value>("prompt")?);
    let (positive, negative) = pipeline.prompts().encode(&prompts(&arguments)?)?;
    let mut parts = Vec::new();
    for (part, ours) in [
        ("prompt_embeds", read(positive.context)?),
        ("negative_prompt_embeds", read(negative.context)?),
        ("pooled", read(positive.pooled)?),
        ("negative_pooled", read(negative.pooled)?),
    ] {
        let (reference, _) = fixtures.values(case, part)?;
        parts.push(Comparison::new(part, &ours, &reference, STAGE));
    }
    Ok(Outcome::Compared(parts))
}

/// The texts among a diffusers pipeline's arguments, each picture of a prompt on its own.
pub(super) fn prompts(arguments: &Map<String, Value>) -> Result<Prompts, CaseError> {
    let images = number(arguments, "num_images_per_prompt").unwrap_or(1.0) as usize;
    let prompt = texts(arguments, "prompt", 1, images)?
        .ok_or_else(|| CaseError::Form("prompt is missing".to_owned()))?;
    let count = prompt.len() / images.max(1);
    Ok(Prompts {
        prompt_2: texts(arguments, "prompt_2", count, images)?,
        negative_prompt: texts(arguments, "negative_prompt", count, images)?,
        negative_prompt_2: texts(arguments, "negative_prompt_2", count, images)?,
        clip_skip: number(arguments, "clip_skip").unwrap_or(0.0) as usize,
        prompt,
    })
}

/// One text for all `count` prompts or a list, each repeated for its `images`.
fn texts(
    arguments: &Map<String, Value>,
    name: &str,
    count: usize,
    images: usize,
) -> Result<Option<Vec<String>>, CaseError> {
    let texts = match arguments.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => vec![text.clone(); count],
        Some(list) => serde_json::from_value(list.clone())
            .map_err(|error| CaseError::Form(format!("{name}: {error}")))?,
    };
    let each = texts.into_iter().flat_map(|text| vec![text; images]);
    Ok(Some(each.collect()))
}

pub(super) fn number(arguments: &Map<String, Value>, name: &str) -> Option<f64> {
    arguments.get(name).and_then(Value::as_f64)
}
