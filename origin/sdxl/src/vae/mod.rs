//! `AutoencoderKL` of diffusers: pixels to latents and back.

mod blocks;
mod config;
mod model;

pub use config::VaeConfig;
pub use model::AutoencoderKL;
