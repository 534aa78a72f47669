//! LoRA (Hu et al. 2021): low-rank additions to a model's layers.
//!
//! [`Lora`] is a file's additions, matched with the layers of the model they are for, whichever
//! of the usual names it was saved with. They are never merged into the weights: a run that uses
//! some builds its own view of the network ([`Adapters`]), which shares every other tensor, so
//! that runs with different LoRAs go side by side and nothing has to be taken back.

mod adapters;
mod file;
mod metadata;
mod names;

pub(crate) use adapters::{Adapters, LowRank};
pub use file::Lora;
pub(crate) use file::{LoraTarget, TargetLayers};
