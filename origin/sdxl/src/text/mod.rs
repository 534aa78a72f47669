//! From words to conditioning: tokenizers, CLIP text encoders, SDXL's way of using both.

mod clip;
mod prompt;
mod tokenizer;

pub use clip::{ClipTextConfig, ClipTextModel, HiddenStates};
pub(crate) use prompt::load_text_encoder;
pub use prompt::{PromptEmbeddings, PromptEncoder, Prompts};
pub use tokenizer::Tokenizer;
