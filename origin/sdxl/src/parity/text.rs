//! Text encoders, and prompts through both of them.

use serde_json::{Map, Value};

use super::fixtures::Case;
use super::{CaseError, Outcome, Setup};
use crate::model::ModelFiles;
use crate::text::{ClipTextModel, PromptSyntax, Prompts};

pub(super) fn check_encoder(setup: &Setup, case: &Case) -> Result<Outcome, CaseError> {
    let folder: String = case.argument("folder")?;
    let part = setup.network::<ClipTextModel>(&folder)?;
    let states = part.network()?.forward(&setup.fixtures.ids(case, "ids")?);
    let from_end = |n: usize| states.layers[states.layers.len().saturating_sub(n)].clone();
    let mut parts = vec![
        setup.stage(case, "penultimate", from_end(2))?,
        setup.stage(case, "skip_one_more", from_end(3))?,
        setup.stage(case, "last_hidden_state", states.last.clone())?,
    ];
    if case.has("text_embeds") {
        let embeds = states.text_embeds.ok_or_else(|| {
            CaseError::Form("the encoder has no projection to compare".to_owned())
        })?;
        parts.push(setup.stage(case, "text_embeds", embeds)?);
    }
    Ok(Outcome::Compared(parts))
}

pub(super) fn check_prompt(setup: &Setup, case: &Case) -> Result<Outcome, CaseError> {
    let files = ModelFiles::open(&setup.fixtures.path("pipeline"), None)?;
    let pipeline = setup.pipeline(files)?;
    let mut arguments: Map<String, Value> = case.argument("args")?;
    arguments.insert("prompt".to_owned(), case.argument::<Value>("prompt")?);
    let (positive, negative) = pipeline.prompts().encode(&prompts(&arguments)?, &[])?;
    Ok(Outcome::Compared(vec![
        setup.stage(case, "prompt_embeds", positive.context)?,
        setup.stage(case, "negative_prompt_embeds", negative.context)?,
        setup.stage(case, "pooled", positive.pooled)?,
        setup.stage(case, "negative_pooled", negative.pooled)?,
    ]))
}

/// The texts among a diffusers pipeline's arguments, each picture of a prompt on its own.
pub(super) fn prompts(arguments: &Map<String, Value>) -> Result<Prompts, CaseError> {
    let images = number(arguments, "num_images_per_prompt").unwrap_or(1.0) as usize;
    let prompt = texts(arguments, "prompt", 1, images)?
        .ok_or_else(|| CaseError::Form("prompt is missing".to_owned()))?;
    let count = prompt.len() / images.max(1);
    // An empty second text is the first.
    let second = |name| match arguments.get(name).and_then(Value::as_str) {
        Some("") => Ok(None),
        _ => texts(arguments, name, count, images),
    };
    Ok(Prompts {
        prompt_2: second("prompt_2")?,
        negative_prompt: texts(arguments, "negative_prompt", count, images)?,
        negative_prompt_2: second("negative_prompt_2")?,
        // As diffusers does it, unless the case says otherwise.
        syntax: match arguments.get("syntax").and_then(Value::as_str) {
            Some(syntax) => syntax.parse().map_err(CaseError::Form)?,
            None => PromptSyntax::Truncated,
        },
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
