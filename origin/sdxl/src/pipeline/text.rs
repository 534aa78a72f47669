//! The texts of a run, encoded by themselves: ahead of it, or once for several.

use super::Pipeline;
use super::run::Run;
use crate::RunError;
use crate::lora::Adapters;
use crate::text::{PromptEmbeddings, Prompts};

/// What the text encoders make of a run's prompts, for [`Run::text`].
#[derive(Clone, Debug)]
pub struct RunText {
    /// Of what to show.
    pub(super) positive: PromptEmbeddings,
    /// Of what not to show.
    pub(super) negative: PromptEmbeddings,
}

impl Pipeline {
    /// Encodes the texts of a run. They fit every run of the same prompts, syntax, `clip_skip` and
    /// LoRAs, to the same bytes.
    ///
    /// # Errors
    /// [`RunError::Invalid`] for a text that cannot be tokenized, or a `clip_skip` beyond the
    /// encoders' layers; [`RunError::Device`].
    pub fn encode_text(&self, run: &Run) -> Result<RunText, RunError> {
        let text = self.encode_prompts(run, &prompts(run))?;
        // Some devices put off what they are told to do until somebody asks for it.
        self.unet
            .device()
            .flush()
            .map_err(|error| RunError::Device(format!("{error:?}")))?;
        Ok(text)
    }

    pub(super) fn encode_prompts(&self, run: &Run, prompts: &Prompts) -> Result<RunText, RunError> {
        let encoders = self.prompts.parts().len();
        let adapters: Vec<Adapters> = (0..encoders)
            .map(|i| {
                let mut adapters = Adapters::default();
                for (lora, weight) in &run.loras {
                    // A lone encoder is the second one.
                    adapters.add(lora.text_encoder(i + 1 == encoders), *weight);
                }
                adapters
            })
            .collect();
        let (positive, negative) = self.prompts.encode(prompts, &adapters)?;
        Ok(RunText { positive, negative })
    }
}

/// A run's texts, of one picture.
pub(super) fn prompts(run: &Run) -> Prompts {
    let list = |text: &Option<String>| text.clone().map(|text| vec![text]);
    // As in diffusers, a second text that is empty is the first.
    let second = |text: &Option<String>| list(text).filter(|text| !text[0].is_empty());
    Prompts {
        prompt: vec![run.prompt.clone()],
        prompt_2: second(&run.prompt_2),
        negative_prompt: list(&run.negative_prompt),
        negative_prompt_2: second(&run.negative_prompt_2),
        syntax: run.syntax,
        clip_skip: run.clip_skip as usize,
    }
}
