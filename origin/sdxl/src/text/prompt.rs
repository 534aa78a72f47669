//! SDXL's conditioning: both encoders' penultimate states side by side, and the second's
//! pooled embedding (`StableDiffusionXLPipeline.encode_prompt`).

use std::path::Path;

use burn::tensor::{Device, Tensor};

use super::{ClipTextConfig, ClipTextModel, Tokenizer};
use crate::weights::{Checkpoint, read_json};
use crate::{LoadError, RunError};

/// The texts of one batch of pictures, all lists equally long.
#[derive(Clone, Debug, Default)]
pub struct Prompts {
    /// What to show.
    pub prompt: Vec<String>,
    /// The same for the second encoder, where it differs.
    pub prompt_2: Option<Vec<String>>,
    /// What not to show. `None` is not the same as empty texts: see
    /// [`PromptEncoder::encode`].
    pub negative_prompt: Option<Vec<String>>,
    /// The same for the second encoder, where it differs.
    pub negative_prompt_2: Option<Vec<String>>,
    /// Layers to leave out at the end of each encoder, beyond the last one.
    pub clip_skip: usize,
}

/// Conditioning of a batch.
#[derive(Clone, Debug)]
pub struct PromptEmbeddings {
    /// `[batch, tokens, cross_attention]`
    pub context: Tensor<3>,
    /// `[batch, projection]`
    pub pooled: Tensor<2>,
}

/// A tokenizer with its encoder.
#[derive(Debug)]
struct TextPart {
    tokenizer: Tokenizer,
    encoder: ClipTextModel,
}

/// The text half of a checkpoint.
#[derive(Debug)]
pub struct PromptEncoder {
    /// SDXL base has two, in this order; its refiner only the second.
    parts: Vec<TextPart>,
    force_zeros_for_empty_prompt: bool,
}

impl PromptEncoder {
    /// Loads encoders and tokenizers from pairs of folders.
    ///
    /// # Errors
    /// What is wrong with the first part that cannot be loaded.
    pub fn load(
        folders: &[(&Path, &Path)],
        force_zeros_for_empty_prompt: bool,
        device: &Device,
    ) -> Result<Self, LoadError> {
        let parts = folders
            .iter()
            .map(|(encoder, tokenizer)| {
                Ok(TextPart {
                    tokenizer: Tokenizer::load(tokenizer)?,
                    encoder: load_text_encoder(encoder, device)?,
                })
            })
            .collect::<Result<_, LoadError>>()?;
        Ok(Self {
            parts,
            force_zeros_for_empty_prompt,
        })
    }

    /// Conditioning for the prompts and for their opposites.
    ///
    /// Without a negative prompt the opposite is zeros where the checkpoint says
    /// `force_zeros_for_empty_prompt`, and the encoded empty text elsewhere.
    ///
    /// # Errors
    /// [`RunError::Invalid`] for a text that cannot be tokenized, or a `clip_skip` beyond the
    /// encoder's layers.
    pub fn encode(
        &self,
        prompts: &Prompts,
    ) -> Result<(PromptEmbeddings, PromptEmbeddings), RunError> {
        let prompt_2 = prompts.prompt_2.as_ref().unwrap_or(&prompts.prompt);
        let positive = self.encode_texts(&prompts.prompt, prompt_2, prompts.clip_skip)?;
        if prompts.negative_prompt.is_none() && self.force_zeros_for_empty_prompt {
            let zeros = PromptEmbeddings {
                context: positive.context.zeros_like(),
                pooled: positive.pooled.zeros_like(),
            };
            return Ok((positive, zeros));
        }
        let empty = vec![String::new(); prompts.prompt.len()];
        let negative = prompts.negative_prompt.as_ref().unwrap_or(&empty);
        let negative_2 = prompts.negative_prompt_2.as_ref().unwrap_or(negative);
        // diffusers leaves layers out of the positive side only.
        let negative = self.encode_texts(negative, negative_2, 0)?;
        Ok((positive, negative))
    }

    fn encode_texts(
        &self,
        first: &[String],
        second: &[String],
        clip_skip: usize,
    ) -> Result<PromptEmbeddings, RunError> {
        // Texts are dealt to the parts from the end: a lone encoder is the second one.
        let texts = if self.parts.len() == 1 {
            vec![first]
        } else {
            vec![first, second]
        };
        let mut contexts = Vec::new();
        let mut pooled = None;
        for (part, texts) in self.parts.iter().zip(texts) {
            let ids: Vec<Vec<u32>> = texts
                .iter()
                .map(|text| part.tokenizer.encode(text))
                .collect::<Result<_, _>>()
                .map_err(|message| RunError::Invalid {
                    field: "prompt",
                    message,
                })?;
            let states = part.encoder.forward(&ids);
            let chosen = states.layers.len().checked_sub(clip_skip + 2);
            let Some(context) = chosen.and_then(|index| states.layers.get(index)) else {
                return Err(RunError::Invalid {
                    field: "clip_skip",
                    message: format!("must be below {}", states.layers.len() - 1),
                });
            };
            contexts.push(context.clone());
            pooled = pooled.or(states.text_embeds);
        }
        let pooled = pooled.ok_or_else(|| RunError::Invalid {
            field: "model",
            message: "has no text encoder with a projection".to_owned(),
        })?;
        Ok(PromptEmbeddings {
            context: Tensor::cat(contexts, 2),
            pooled,
        })
    }
}

/// Loads one encoder's folder.
pub(crate) fn load_text_encoder(
    folder: &Path,
    device: &Device,
) -> Result<ClipTextModel, LoadError> {
    let config: ClipTextConfig = read_json(&folder.join("config.json"))?;
    let checkpoint = Checkpoint::open_folder(folder)?;
    let model = ClipTextModel::load(&checkpoint.weights(device)?, &config)?;
    checkpoint.finish()?;
    Ok(model)
}
