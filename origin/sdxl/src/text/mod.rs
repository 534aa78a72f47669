//! From words to conditioning: tokenizers, CLIP text encoders, SDXL's way of using both.
//!
//! A prompt is read ([`PromptSyntax`]), cut into windows of tokens, and each window encoded; their
//! states, one after the other and both encoders' side by side, are what the UNet looks at.

mod clip;
mod prompt;
mod syntax;
mod tokenizer;
mod windows;

pub(crate) use clip::{ClipTextConfig, ClipTextModel};
pub(crate) use prompt::{PromptEmbeddings, PromptEncoder, Prompts, TextPart};
pub use syntax::PromptSyntax;
pub use tokenizer::Tokenizer;
