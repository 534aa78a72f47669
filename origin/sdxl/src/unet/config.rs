//! `config.json` of a UNet.

use serde::Deserialize;

use super::encoder_config::{EncoderConfig, are_blocks};
use crate::model::{Configuration, first_wrong};

/// What `config.json` says, with diffusers' names.
#[derive(Clone, Debug, Deserialize)]
pub struct UNetConfig {
    /// The way down.
    #[serde(flatten)]
    pub encoder: EncoderConfig,
    /// Side of the latents the model was made for.
    #[serde(default)]
    pub sample_size: Option<usize>,
    /// 4.
    pub out_channels: usize,
    /// From the coarsest to the finest; each has one layer more than its namesake on the way down.
    pub up_block_types: Vec<String>,
    /// Width of the guidance scale's embedding, in a UNet that is told it.
    #[serde(default)]
    pub time_cond_proj_dim: Option<usize>,
    #[serde(default)]
    resnet_out_scale_factor: Option<f64>,
    #[serde(default)]
    center_input_sample: bool,
    #[serde(default)]
    dual_cross_attention: bool,
}

impl UNetConfig {
    /// Width of the text conditioning wherever there is a transformer, on either way.
    pub(crate) fn contexts(&self) -> Vec<usize> {
        let mut contexts = self.encoder.contexts();
        for (level, kind) in self.up_block_types.iter().rev().enumerate() {
            if kind.starts_with("CrossAttn") {
                contexts.push(self.encoder.cross_attention_dim.at(level));
            }
        }
        contexts
    }
}

impl Configuration for UNetConfig {
    fn unsupported(&self) -> Option<String> {
        let scale = self.resnet_out_scale_factor.unwrap_or(1.0);
        let checks = [
            (
                self.encoder.has_mid_attention(),
                "a middle without attention".to_owned(),
            ),
            (
                (scale - 1.0).abs() < f64::EPSILON,
                format!("resnet_out_scale_factor {scale}"),
            ),
            (
                !self.center_input_sample && !self.dual_cross_attention,
                "center_input_sample or dual_cross_attention".to_owned(),
            ),
            (
                self.up_block_types.len() == self.encoder.levels(),
                "an up_block_types that differs in length from block_out_channels".to_owned(),
            ),
            (
                are_blocks(&self.up_block_types, "UpBlock2D"),
                format!("up_block_types {:?}", self.up_block_types),
            ),
        ];
        self.encoder.unsupported().or_else(|| first_wrong(checks))
    }
}
