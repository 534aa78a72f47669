//! `UNet2DConditionModel` of diffusers, as far as SDXL uses it: text and time-id conditioning,
//! cross-attention, linear projections. Every shape comes from `config.json`.

mod blocks;
mod config;
mod embedding;
mod model;
mod resnet;
mod transformer;

pub(crate) use blocks::resize_nearest;
pub use config::UNetConfig;
pub use model::{Conditioning, Stages, UNet2DConditionModel};
pub(crate) use resnet::{ResnetBlock2D, ResnetShape};
