//! Encoded texts, kept for the runs that are about to need them.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use darkroom_sdxl::{Pipeline, Run, RunError, RunText};

/// Of the job that is being made, and of the next.
const KEPT: usize = 2;

/// The texts that were encoded last. Runs here differ in nothing else that decides a text.
#[derive(Debug, Default)]
pub(super) struct Texts(Mutex<VecDeque<(Words, RunText)>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Words {
    prompt: String,
    negative_prompt: Option<String>,
}

impl Texts {
    /// The texts of a run, encoded now unless they have been.
    pub fn of(&self, pipeline: &Pipeline, run: &Run) -> Result<RunText, RunError> {
        let words = Words {
            prompt: run.prompt.clone(),
            negative_prompt: run.negative_prompt.clone(),
        };
        if let Some(text) = self.find(&words) {
            return Ok(text);
        }
        // Unlocked meanwhile: a run does not wait for another one's words.
        let text = pipeline.encode_text(run)?;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back((words, text.clone()));
        if kept.len() > KEPT {
            kept.pop_front();
        }
        Ok(text)
    }

    fn find(&self, words: &Words) -> Option<RunText> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().find(|(known, _)| known == words);
        found.map(|(_, text)| text.clone())
    }
}
