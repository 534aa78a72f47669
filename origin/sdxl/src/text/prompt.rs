//! SDXL's conditioning: both encoders' penultimate states side by side, and the second's
//! pooled embedding (`StableDiffusionXLPipeline.encode_prompt`).

use burn::tensor::{DType, Tensor, TensorData};

use super::syntax::PromptSyntax;
use super::windows::{Window, empty, windows};
use super::{ClipTextModel, Tokenizer};
use crate::RunError;
use crate::lora::Adapters;
use crate::model::Part;

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
    /// How the texts are read.
    pub syntax: PromptSyntax,
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
pub(crate) struct TextPart {
    pub tokenizer: Tokenizer,
    pub encoder: Part<ClipTextModel>,
}

/// The text half of a checkpoint.
#[derive(Debug)]
pub struct PromptEncoder {
    /// SDXL base has two, in this order; its refiner only the second.
    parts: Vec<TextPart>,
    force_zeros_for_empty_prompt: bool,
}

impl PromptEncoder {
    pub(crate) fn new(parts: Vec<TextPart>, force_zeros_for_empty_prompt: bool) -> Self {
        Self {
            parts,
            force_zeros_for_empty_prompt,
        }
    }

    pub(crate) fn parts(&self) -> &[TextPart] {
        &self.parts
    }

    /// Conditioning for the prompts and for their opposites, with `adapters` on the encoders.
    ///
    /// Without a negative prompt the opposite is zeros where the checkpoint says
    /// `force_zeros_for_empty_prompt`, and the encoded empty text elsewhere.
    ///
    /// # Errors
    /// [`RunError::Invalid`] for a text that cannot be tokenized, or a `clip_skip` beyond the
    /// encoder's layers; [`RunError::Load`].
    pub(crate) fn encode(
        &self,
        prompts: &Prompts,
        adapters: &[Adapters],
    ) -> Result<(PromptEmbeddings, PromptEmbeddings), RunError> {
        let zeros = prompts.negative_prompt.is_none() && self.force_zeros_for_empty_prompt;
        let prompt_2 = prompts.prompt_2.as_ref().unwrap_or(&prompts.prompt);
        let empty = vec![String::new(); prompts.prompt.len()];
        let negative = prompts.negative_prompt.as_ref().unwrap_or(&empty);
        let negative_2 = prompts.negative_prompt_2.as_ref().unwrap_or(negative);
        // Texts are dealt to the parts in this order: a lone encoder gets the first.
        let mut rows = Vec::new();
        for (part, (positive, negative)) in self
            .parts
            .iter()
            .zip([(&prompts.prompt, negative), (prompt_2, negative_2)])
        {
            let tokenizer = &part.tokenizer;
            let read = |text: &String| windows(tokenizer, text, prompts.syntax);
            let read = |texts: &[String]| texts.iter().map(read).collect::<Result<Vec<_>, _>>();
            let tokenized = |message| RunError::Invalid {
                field: "prompt",
                message,
            };
            let negative = if zeros { &[][..] } else { negative };
            rows.push((
                read(positive).map_err(tokenized)?,
                read(negative).map_err(tokenized)?,
            ));
        }
        // All as long as the longest: prompts, opposites, both encoders.
        let lengths = rows
            .iter()
            .flat_map(|(a, b)| a.iter().chain(b))
            .map(Vec::len);
        let length = lengths.max().unwrap_or(1);
        let (mut positive, mut negative) = (Sides::default(), Sides::default());
        for (i, (part, rows)) in self.parts.iter().zip(rows).enumerate() {
            let none = Adapters::default();
            let encoder = part.encoder.adapted(adapters.get(i).unwrap_or(&none))?;
            let encode = |rows: Vec<Vec<Window>>, clip_skip| {
                encode_windows(&encoder, &part.tokenizer, rows, length, clip_skip)
            };
            positive.push(encode(rows.0, prompts.clip_skip)?);
            if !zeros {
                // diffusers leaves layers out of the positive side only.
                negative.push(encode(rows.1, 0)?);
            }
        }
        let positive = positive.joined()?;
        let negative = if zeros {
            PromptEmbeddings {
                context: positive.context.zeros_like(),
                pooled: positive.pooled.zeros_like(),
            }
        } else {
            negative.joined()?
        };
        Ok((positive, negative))
    }
}

/// What the encoders say of one side.
#[derive(Default)]
struct Sides {
    contexts: Vec<Tensor<3>>,
    pooled: Option<Tensor<2>>,
}

impl Sides {
    fn push(&mut self, (context, pooled): (Tensor<3>, Option<Tensor<2>>)) {
        self.contexts.push(context);
        self.pooled = self.pooled.take().or(pooled);
    }

    fn joined(self) -> Result<PromptEmbeddings, RunError> {
        let pooled = self.pooled.ok_or_else(|| RunError::Invalid {
            field: "model",
            message: "has no text encoder with a projection".to_owned(),
        })?;
        Ok(PromptEmbeddings {
            context: Tensor::cat(self.contexts, 2),
            pooled,
        })
    }
}

/// Encodes texts, each a row of windows: the windows' states one after the other, and the first
/// window's pooled state.
fn encode_windows(
    encoder: &ClipTextModel,
    tokenizer: &Tokenizer,
    mut rows: Vec<Vec<Window>>,
    length: usize,
    clip_skip: usize,
) -> Result<(Tensor<3>, Option<Tensor<2>>), RunError> {
    let mut contexts = Vec::new();
    let mut pooled = None;
    for window in 0..length {
        let windows: Vec<&Window> = rows
            .iter_mut()
            .filter_map(|row| {
                row.resize_with(length.max(row.len()), || empty(tokenizer));
                row.get(window)
            })
            .collect();
        let ids: Vec<Vec<u32>> = windows.iter().map(|window| window.ids.clone()).collect();
        let states = encoder.forward(&ids);
        let chosen = states.layers.len().checked_sub(clip_skip + 2);
        let Some(context) = chosen.and_then(|index| states.layers.get(index)) else {
            return Err(RunError::Invalid {
                field: "clip_skip",
                message: format!("must be below {}", states.layers.len() - 1),
            });
        };
        contexts.push(weigh(context.clone(), &windows));
        pooled = pooled.or(states.text_embeds);
    }
    Ok((Tensor::cat(contexts, 1), pooled))
}

/// Multiplies each token's state with its weight. A1111's web UI can also scale the result so that
/// its mean stays what it was; it advises against that for SDXL, whose states' mean is about
/// nothing, and a quotient of two such means anything.
fn weigh(context: Tensor<3>, windows: &[&Window]) -> Tensor<3> {
    if windows.iter().all(|window| window.weights.is_none()) {
        return context;
    }
    let ([batch, tokens, _], dtype) = (context.dims(), context.dtype());
    let ones = vec![1.0; tokens];
    let weights: Vec<f32> = windows
        .iter()
        .flat_map(|window| window.weights.clone().unwrap_or_else(|| ones.clone()))
        .collect();
    let options = (&context.device(), DType::F32);
    let weights = Tensor::<3>::from_data(TensorData::new(weights, [batch, tokens, 1]), options);
    context * weights.cast(dtype)
}
