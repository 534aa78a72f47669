//! Checkpoints: safetensors files mapped into memory, read one tensor at a time.
//!
//! [`Checkpoint`] knows where each of a part's tensors lies, under diffusers' names: in one file
//! of a folder, in shards, or inside a single-file checkpoint with other names ([`SingleFile`]).
//! A layer asks its [`Weights`] for tensors by name and shape. A missing or mis-shaped tensor is
//! an error on the spot, and [`Loading::finish`] reports tensors that nobody asked for: a
//! checkpoint is either loaded whole or not at all. What was loaded stays in a [`Store`], from
//! which the same model can be built again at no cost, with LoRAs on its layers for example.

mod checkpoint;
mod convert;
mod file;
mod json;
mod sgm;
mod single_file;
mod store;
mod view;

pub(crate) use checkpoint::Checkpoint;
pub(crate) use convert::to_f32;
pub(crate) use file::SafetensorsFile;
pub(crate) use json::{parse_json, read_json};
pub(crate) use sgm::unet as unet_names;
pub(crate) use single_file::SingleFile;
pub(crate) use store::Store;
pub use view::Weights;
pub(crate) use view::{Loading, Target};
