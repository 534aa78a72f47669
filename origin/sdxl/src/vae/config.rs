//! `config.json` of a VAE.

use serde::Deserialize;

use crate::model::{Configuration, first_wrong};

/// What `config.json` says, with diffusers' names.
#[derive(Clone, Debug, Deserialize)]
pub struct VaeConfig {
    /// Channels of a picture: 3.
    pub in_channels: usize,
    /// Channels of a picture: 3.
    pub out_channels: usize,
    /// Channels of the latents: 4.
    pub latent_channels: usize,
    /// From the finest level to the coarsest.
    pub block_out_channels: Vec<usize>,
    /// Resnets of each level of the encoder; the decoder has one more.
    pub layers_per_block: usize,
    /// Groups of the group norms.
    #[serde(default = "default_groups")]
    pub norm_num_groups: usize,
    /// The denoiser's latents are the encoder's times this.
    pub scaling_factor: f64,
    /// Latents a side of the tiles that a larger picture is taken in; whole where there is none.
    /// No part of the file: how much memory there is decides.
    #[serde(skip)]
    pub tile: Option<usize>,
    #[serde(default)]
    down_block_types: Vec<String>,
    #[serde(default)]
    up_block_types: Vec<String>,
    #[serde(default)]
    shift_factor: Option<f64>,
    #[serde(default)]
    latents_mean: Option<Vec<f64>>,
    #[serde(default = "yes")]
    use_quant_conv: bool,
    #[serde(default = "yes")]
    use_post_quant_conv: bool,
    #[serde(default = "yes")]
    mid_block_add_attention: bool,
}

const fn default_groups() -> usize {
    32
}
const fn yes() -> bool {
    true
}

impl Configuration for VaeConfig {
    fn unsupported(&self) -> Option<String> {
        let config = self;
        let groups = config.norm_num_groups;
        let checks = [
            (config.shift_factor.is_none(), "shift_factor"),
            (config.latents_mean.is_none(), "latents_mean"),
            (config.use_quant_conv, "use_quant_conv false"),
            (config.use_post_quant_conv, "use_post_quant_conv false"),
            (
                config.mid_block_add_attention,
                "mid_block_add_attention false",
            ),
            (
                config
                    .down_block_types
                    .iter()
                    .all(|kind| kind == "DownEncoderBlock2D"),
                "a down block that is no DownEncoderBlock2D",
            ),
            (
                config
                    .up_block_types
                    .iter()
                    .all(|kind| kind == "UpDecoderBlock2D"),
                "an up block that is no UpDecoderBlock2D",
            ),
            (
                (1..=8).contains(&config.block_out_channels.len())
                    && groups > 0
                    && config.block_out_channels.iter().all(|c| c % groups == 0),
                "block_out_channels of other than 1 to 8 levels, or that norm_num_groups does not \
                 divide",
            ),
        ];
        first_wrong(checks)
    }
}

impl VaeConfig {
    /// Pixels a side for one latent: 8 with four levels.
    #[must_use]
    pub fn scale(&self) -> usize {
        1 << (self.block_out_channels.len() - 1)
    }
}
