//! Layers as PyTorch defines and stores them, for inference.
//!
//! Each is loaded from the tensors that its PyTorch namesake saves, and keeps their layout:
//! a linear layer's matrix is transposed as a view, never copied.

mod attention;
mod conv;
mod linear;
mod norm;

pub use attention::Attention;
pub(crate) use attention::Heads;
pub use conv::{Conv2d, ConvShape};
pub use linear::Linear;
pub use norm::{GroupNorm, LayerNorm};
