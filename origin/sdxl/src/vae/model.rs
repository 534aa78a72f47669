//! The whole autoencoder.

use burn::tensor::{DType, Tensor};

use super::blocks::{DownEncoderBlock, EPS, MidBlock, UpDecoderBlock};
use super::config::VaeConfig;
use super::tiling::Tiles;
use crate::LoadError;
use crate::model::Network;
use crate::nn::{Conv2d, ConvShape, GroupNorm};
use crate::weights::Weights;

/// The encoder's answer: a normal distribution for every latent.
#[derive(Debug)]
pub struct Moments {
    /// `[batch, latent, height / 8, width / 8]`
    pub mean: Tensor<4>,
    /// The logarithm of the variance, clamped to −30 … 20; shape as `mean`.
    pub logvar: Tensor<4>,
}

/// Encoder and decoder.
#[derive(Debug)]
pub struct AutoencoderKL {
    config: VaeConfig,
    dtype: DType,
    encoder: Encoder,
    quant_conv: Conv2d,
    post_quant_conv: Conv2d,
    decoder: Decoder,
}

impl Network for AutoencoderKL {
    type Config = VaeConfig;

    fn build(weights: &Weights<'_>, config: &VaeConfig) -> Result<Self, LoadError> {
        let latent = config.latent_channels;
        let pointwise = |name, channels| {
            let shape = ConvShape::pointwise(channels, channels);
            Conv2d::load(&weights.child(name), shape)
        };
        Ok(Self {
            dtype: weights.dtype(),
            encoder: Encoder::load(&weights.child("encoder"), config)?,
            quant_conv: pointwise("quant_conv", 2 * latent)?,
            post_quant_conv: pointwise("post_quant_conv", latent)?,
            decoder: Decoder::load(&weights.child("decoder"), config)?,
            config: config.clone(),
        })
    }
}

impl AutoencoderKL {
    /// The type it computes in.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The configuration it was made from.
    #[must_use]
    pub fn config(&self) -> &VaeConfig {
        &self.config
    }

    /// Pictures `[batch, 3, height, width]` in −1 … 1 to unscaled latents.
    #[must_use]
    pub fn encode(&self, pictures: Tensor<4>) -> Moments {
        let whole = |pictures| self.quant_conv.forward(self.encoder.forward(pictures));
        let tiles = self.config.tile.map(|latents| Tiles {
            input: latents * self.config.scale(),
            output: latents,
        });
        let moments = match tiles.filter(|tiles| tiles.are_needed(&pictures)) {
            Some(tiles) => tiles.apply(&pictures, whole),
            None => whole(pictures),
        };
        let latent = self.config.latent_channels;
        Moments {
            mean: moments.clone().narrow(1, 0, latent),
            logvar: moments.narrow(1, latent, latent).clamp(-30.0, 20.0),
        }
    }

    /// Unscaled latents `[batch, latent, height, width]` to pictures in about −1 … 1
    /// `[batch, 3, 8 × height, 8 × width]`.
    #[must_use]
    pub fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        let whole = |latents| self.decoder.forward(self.post_quant_conv.forward(latents));
        let tiles = self.config.tile.map(|side| Tiles {
            input: side,
            output: side * self.config.scale(),
        });
        match tiles.filter(|tiles| tiles.are_needed(&latents)) {
            Some(tiles) => tiles.apply(&latents, whole),
            None => whole(latents),
        }
    }
}

#[derive(Debug)]
struct Encoder {
    conv_in: Conv2d,
    down_blocks: Vec<DownEncoderBlock>,
    mid_block: MidBlock,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Encoder {
    fn load(weights: &Weights<'_>, config: &VaeConfig) -> Result<Self, LoadError> {
        let channels = &config.block_out_channels;
        let groups = config.norm_num_groups;
        let (first, last) = (channels[0], channels[channels.len() - 1]);
        let conv = |name, from, to| Conv2d::load(&weights.child(name), ConvShape::same(from, to));
        let down_blocks = (0..channels.len())
            .map(|level| {
                DownEncoderBlock::load(
                    &weights.child(format!("down_blocks.{level}")),
                    [channels[level.saturating_sub(1)], channels[level]],
                    groups,
                    config.layers_per_block,
                    level + 1 < channels.len(),
                )
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            conv_in: conv("conv_in", config.in_channels, first)?,
            down_blocks,
            mid_block: MidBlock::load(&weights.child("mid_block"), last, groups)?,
            conv_norm_out: GroupNorm::load(&weights.child("conv_norm_out"), groups, last, EPS)?,
            conv_out: conv("conv_out", last, 2 * config.latent_channels)?,
        })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.conv_in.forward(x);
        let x = self.down_blocks.iter().fold(x, |x, block| block.forward(x));
        let x = self.mid_block.forward(x);
        self.conv_out.forward(self.conv_norm_out.forward_silu(x))
    }
}

#[derive(Debug)]
struct Decoder {
    conv_in: Conv2d,
    mid_block: MidBlock,
    up_blocks: Vec<UpDecoderBlock>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Decoder {
    fn load(weights: &Weights<'_>, config: &VaeConfig) -> Result<Self, LoadError> {
        let channels: Vec<usize> = config.block_out_channels.iter().rev().copied().collect();
        let groups = config.norm_num_groups;
        let (coarsest, finest) = (channels[0], channels[channels.len() - 1]);
        let conv = |name, from, to| Conv2d::load(&weights.child(name), ConvShape::same(from, to));
        let up_blocks = (0..channels.len())
            .map(|i| {
                UpDecoderBlock::load(
                    &weights.child(format!("up_blocks.{i}")),
                    [channels[i.saturating_sub(1)], channels[i]],
                    groups,
                    config.layers_per_block + 1,
                    i + 1 < channels.len(),
                )
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            conv_in: conv("conv_in", config.latent_channels, coarsest)?,
            mid_block: MidBlock::load(&weights.child("mid_block"), coarsest, groups)?,
            up_blocks,
            conv_norm_out: GroupNorm::load(&weights.child("conv_norm_out"), groups, finest, EPS)?,
            conv_out: conv("conv_out", finest, config.out_channels)?,
        })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.mid_block.forward(self.conv_in.forward(x));
        let x = self.up_blocks.iter().fold(x, |x, block| block.forward(x));
        self.conv_out.forward(self.conv_norm_out.forward_silu(x))
    }
}
