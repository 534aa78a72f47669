//! Pixels to latents and back: `AutoencoderKL` of diffusers, and `AutoencoderTiny` for previews.

mod blocks;
mod config;
mod model;
mod tiling;
mod tiny;

pub use config::VaeConfig;
pub use model::AutoencoderKL;
pub use tiny::{AutoencoderTiny, TinyConfig};
