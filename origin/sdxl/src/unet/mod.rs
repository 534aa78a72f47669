//! `UNet2DConditionModel` of diffusers, as far as SDXL uses it: text and time-id conditioning,
//! cross-attention, linear projections. Every shape comes from `config.json`.
//!
//! Its way down is an [`Encoder`] of its own, since a `ControlNet` is one too.

mod blocks;
mod conditioning;
mod config;
mod embedding;
mod encoder;
mod encoder_config;
mod model;
mod resnet;
mod transformer;

pub(crate) use blocks::resize_nearest;
pub use conditioning::{Additions, Conditioning, Residuals};
pub use config::UNetConfig;
pub(crate) use encoder::{Encoded, Encoder};
pub use encoder_config::EncoderConfig;
pub use model::{Stages, UNet2DConditionModel};
pub(crate) use resnet::{ResnetBlock2D, ResnetShape};
