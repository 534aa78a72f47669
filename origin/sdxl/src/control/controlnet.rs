//! `ControlNetModel` of diffusers (Zhang et al. 2023).

use burn::tensor::{DType, Tensor, activation};

use super::controlnet_config::ControlNetConfig;
use crate::LoadError;
use crate::model::Network;
use crate::nn::{Conv2d, ConvShape};
use crate::unet::{Conditioning, Encoded, Encoder, Residuals};
use crate::weights::Weights;

/// A copy of a UNet's way down that also sees a picture.
#[derive(Debug)]
pub(crate) struct ControlNetModel {
    config: ControlNetConfig,
    encoder: Encoder,
    controlnet_cond_embedding: ConditioningEmbedding,
    controlnet_down_blocks: Vec<Conv2d>,
    controlnet_mid_block: Conv2d,
}

impl Network for ControlNetModel {
    type Config = ControlNetConfig;

    fn build(weights: &Weights<'_>, config: &ControlNetConfig) -> Result<Self, LoadError> {
        let encoder = &config.encoder;
        let channels = &encoder.block_out_channels;
        let pointwise = |name: String, channels| {
            Conv2d::load(
                &weights.child(name),
                ConvShape::pointwise(channels, channels),
            )
        };
        let down = encoder.skips().into_iter().enumerate();
        Ok(Self {
            controlnet_cond_embedding: ConditioningEmbedding::load(
                &weights.child("controlnet_cond_embedding"),
                &config.conditioning_embedding_out_channels,
                channels[0],
            )?,
            controlnet_down_blocks: down
                .map(|(i, channels)| pointwise(format!("controlnet_down_blocks.{i}"), channels))
                .collect::<Result<_, _>>()?,
            controlnet_mid_block: pointwise(
                "controlnet_mid_block".to_owned(),
                channels[channels.len() - 1],
            )?,
            encoder: Encoder::load(weights, encoder, None)?,
            config: config.clone(),
        })
    }
}

impl ControlNetModel {
    /// The type it computes in.
    pub fn dtype(&self) -> DType {
        self.encoder.dtype()
    }

    /// What it makes of a picture `[batch, 3, height, width]` in 0 … 1 once and for all, to be
    /// shown at every step: `[batch, channels, height / 8, width / 8]`.
    pub fn hint(&self, picture: Tensor<4>) -> Tensor<4> {
        let picture = if self.config.controlnet_conditioning_channel_order == "bgr" {
            picture.flip([1])
        } else {
            picture
        };
        self.controlnet_cond_embedding.forward(picture)
    }

    /// Whether it is asked about the prompt alone, whatever the run says; unless that inpaints.
    pub fn guesses(&self) -> bool {
        self.config.global_pool_conditions
    }

    /// What is to be added in the UNet for `sample` `[batch, 4, height, width]`, times `scale`;
    /// a `guess` is the weaker the finer the level, down to a tenth.
    pub fn forward(
        &self,
        sample: Tensor<4>,
        hint: &Tensor<4>,
        timesteps: &[f32],
        conditioning: &Conditioning,
        scale: f64,
        guess: bool,
    ) -> Residuals {
        let time = self.encoder.embed(timesteps, conditioning).both;
        let x = self.encoder.conv_in(sample) + hint.clone();
        let Encoded { skips, middle } =
            self.encoder
                .forward(x, &time, &conditioning.context, &[], &mut |_, _| {});
        let count = skips.len() as f64;
        let is_pooled = self.config.global_pool_conditions;
        let factor = |i: usize| {
            if guess && !is_pooled {
                scale * 10_f64.powf(i as f64 / count - 1.0)
            } else {
                scale
            }
        };
        let layers = self.controlnet_down_blocks.iter().zip(skips).enumerate();
        let residuals = Residuals {
            down: layers
                .map(|(i, (layer, skip))| layer.forward(skip).mul_scalar(factor(i)))
                .collect(),
            mid: self.controlnet_mid_block.forward(middle).mul_scalar(scale),
        };
        if is_pooled {
            return residuals.map(|x| x.mean_dim(2).mean_dim(3));
        }
        residuals
    }
}

/// `ControlNetConditioningEmbedding`: convolutions that take a picture to the latents' size.
#[derive(Debug)]
struct ConditioningEmbedding {
    conv_in: Conv2d,
    blocks: Vec<Conv2d>,
    conv_out: Conv2d,
}

impl ConditioningEmbedding {
    fn load(weights: &Weights<'_>, channels: &[usize], output: usize) -> Result<Self, LoadError> {
        let conv = |name: String, shape| Conv2d::load(&weights.child(name), shape);
        let mut blocks = Vec::new();
        for pair in channels.windows(2) {
            let halve = ConvShape {
                stride: 2,
                ..ConvShape::same(pair[0], pair[1])
            };
            for shape in [ConvShape::same(pair[0], pair[0]), halve] {
                blocks.push(conv(format!("blocks.{}", blocks.len()), shape)?);
            }
        }
        let (first, last) = (channels[0], channels[channels.len() - 1]);
        Ok(Self {
            conv_in: conv("conv_in".to_owned(), ConvShape::same(3, first))?,
            blocks,
            conv_out: conv("conv_out".to_owned(), ConvShape::same(last, output))?,
        })
    }

    fn forward(&self, picture: Tensor<4>) -> Tensor<4> {
        let x = activation::silu(self.conv_in.forward(picture));
        let x = self
            .blocks
            .iter()
            .fold(x, |x, block| activation::silu(block.forward(x)));
        self.conv_out.forward(x)
    }
}
