//! `AutoencoderKL` of diffusers: pixels to latents and back.

mod blocks;
mod config;
mod model;
mod tiling;

pub use config::VaeConfig;
pub use model::AutoencoderKL;
