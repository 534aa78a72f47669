//! `config.json` of a `ControlNet`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::{Configuration, first_wrong};
use crate::unet::EncoderConfig;

/// What `config.json` says, with diffusers' names.
#[derive(Clone, Debug, Deserialize)]
pub struct ControlNetConfig {
    /// The half of a UNet that it is a copy of.
    #[serde(flatten)]
    pub encoder: EncoderConfig,
    /// Channels of the layers that make of a picture what the first level takes.
    #[serde(default = "published_channels")]
    pub conditioning_embedding_out_channels: Vec<usize>,
    /// `rgb` or `bgr`.
    #[serde(default = "rgb")]
    pub controlnet_conditioning_channel_order: String,
    /// Whether all pixels are told the same.
    #[serde(default)]
    pub global_pool_conditions: bool,
    #[serde(default = "three")]
    conditioning_channels: usize,
}

fn published_channels() -> Vec<usize> {
    vec![16, 32, 96, 256]
}
fn rgb() -> String {
    "rgb".to_owned()
}
const fn three() -> usize {
    3
}

impl ControlNetConfig {
    /// That of a copy of a UNet's way down, as diffusers' `from_unet` makes it, with tensors of
    /// these shapes.
    pub(crate) fn of_unet(
        unet: &EncoderConfig,
        latent_channels: usize,
        shapes: &BTreeMap<String, Vec<usize>>,
    ) -> Self {
        let mut encoder = unet.clone();
        encoder.in_channels = latent_channels;
        let output = |layer: &str| {
            let shape = shapes.get(&format!("controlnet_cond_embedding.{layer}.weight"))?;
            shape.first().copied()
        };
        // Every second layer changes the number of channels.
        let blocks = (1..)
            .step_by(2)
            .map_while(|i| output(&format!("blocks.{i}")));
        let channels: Vec<usize> = output("conv_in").into_iter().chain(blocks).collect();
        Self {
            encoder,
            conditioning_embedding_out_channels: if channels.is_empty() {
                published_channels()
            } else {
                channels
            },
            controlnet_conditioning_channel_order: rgb(),
            global_pool_conditions: false,
            conditioning_channels: three(),
        }
    }
}

impl Configuration for ControlNetConfig {
    fn unsupported(&self) -> Option<String> {
        let order = self.controlnet_conditioning_channel_order.as_str();
        let checks = [
            (
                self.conditioning_channels == 3,
                format!("conditioning_channels {}", self.conditioning_channels),
            ),
            (
                matches!(order, "rgb" | "bgr"),
                format!("controlnet_conditioning_channel_order {order}"),
            ),
            (
                (1..=8).contains(&self.conditioning_embedding_out_channels.len()),
                "conditioning_embedding_out_channels other than 1 to 8".to_owned(),
            ),
        ];
        self.encoder.unsupported().or_else(|| first_wrong(checks))
    }
}
