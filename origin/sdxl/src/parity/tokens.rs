//! Token ids, exactly.

use super::compare::{Comparison, Measure};
use super::fixtures::{Case, Fixtures};
use super::{CaseError, Outcome};
use crate::RunError;
use crate::text::Tokenizer;

pub(super) fn check(fixtures: &Fixtures, case: &Case) -> Result<Outcome, CaseError> {
    let folder: String = case.argument("folder")?;
    let vocabulary: Option<String> = case.argument("vocab_from")?;
    let vocabulary = vocabulary.unwrap_or_else(|| folder.clone());
    let tokenizer =
        Tokenizer::load_with_vocabulary(&fixtures.path(&folder), &fixtures.path(&vocabulary))?;
    let texts: Vec<String> = case.argument("texts")?;
    let (reference, _) = fixtures.values(case, "ids")?;
    let mut ours = Vec::new();
    for text in &texts {
        let ids = tokenizer
            .encode(text)
            .map_err(|message| RunError::Invalid {
                field: "prompt",
                message,
            })?;
        ours.extend(ids.into_iter().map(|id| id as f32));
    }
    let comparison = Comparison::new("ids", &ours, &reference, Measure::Relative(0.0));
    Ok(Outcome::Compared(vec![comparison]))
}
