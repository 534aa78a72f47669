//! The whole UNet.

use burn::tensor::{DType, Tensor};

use super::blocks::{LevelShape, UpBlock};
use super::conditioning::{Additions, Conditioning};
use super::config::UNetConfig;
use super::encoder::{Encoded, Encoder};
use crate::LoadError;
use crate::model::Network;
use crate::nn::{Conv2d, ConvShape, GroupNorm};
use crate::weights::Weights;

/// What goes on inside, for comparisons.
#[derive(Debug, Default)]
pub struct Stages {
    /// After the timestep's MLP.
    pub time_embedding: Option<Tensor<2>>,
    /// After the MLP of pooled text and time ids.
    pub add_embedding: Option<Tensor<2>>,
    /// After each level on the way down, the middle, each level on the way up.
    pub blocks: Vec<(String, Tensor<4>)>,
}

/// The denoiser.
#[derive(Debug)]
pub struct UNet2DConditionModel {
    config: UNetConfig,
    encoder: Encoder,
    up_blocks: Vec<UpBlock>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Network for UNet2DConditionModel {
    type Config = UNetConfig;

    fn build(weights: &Weights<'_>, config: &UNetConfig) -> Result<Self, LoadError> {
        let down = &config.encoder;
        let channels = &down.block_out_channels;
        let (first, levels) = (channels[0], down.levels());
        let mut skips = down.skips();
        let mut up_blocks = Vec::new();
        for (index, level) in (0..levels).rev().enumerate() {
            let input = channels[(level + 1).min(levels - 1)];
            let layers = down.layers_per_block.at(level) + 1;
            let shape = LevelShape {
                resnet: down.resnet(input, channels[level]),
                transformer: config.up_block_types[index]
                    .starts_with("CrossAttn")
                    .then(|| down.transformer(level)),
                layers,
                resample: level > 0,
            };
            let used: Vec<usize> = skips
                .split_off(skips.len() - layers)
                .into_iter()
                .rev()
                .collect();
            let weights = weights.child(format!("up_blocks.{index}"));
            up_blocks.push(UpBlock::load(&weights, shape, &used)?);
        }
        Ok(Self {
            encoder: Encoder::load(weights, down, config.time_cond_proj_dim)?,
            up_blocks,
            conv_norm_out: GroupNorm::load(
                &weights.child("conv_norm_out"),
                down.norm_num_groups,
                first,
                down.norm_eps,
            )?,
            conv_out: Conv2d::load(
                &weights.child("conv_out"),
                ConvShape::same(first, config.out_channels),
            )?,
            config: config.clone(),
        })
    }
}

impl UNet2DConditionModel {
    /// The configuration it was made from.
    #[must_use]
    pub fn config(&self) -> &UNetConfig {
        &self.config
    }

    /// The type it computes in.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.encoder.dtype()
    }

    /// Predicts noise (or velocity, as the checkpoint was trained) for `sample`
    /// `[batch, in_channels, height, width]` at one timestep a picture.
    #[must_use]
    pub fn forward(
        &self,
        sample: Tensor<4>,
        timesteps: &[f32],
        conditioning: &Conditioning,
        additions: Additions,
    ) -> Tensor<4> {
        self.forward_observed(sample, timesteps, conditioning, additions, None)
    }

    /// The same, keeping what every stage said.
    #[must_use]
    pub fn forward_observed(
        &self,
        sample: Tensor<4>,
        timesteps: &[f32],
        conditioning: &Conditioning,
        additions: Additions,
        mut stages: Option<&mut Stages>,
    ) -> Tensor<4> {
        let mut keep = |name: String, x: &Tensor<4>| {
            if let Some(stages) = stages.as_deref_mut() {
                stages.blocks.push((name, x.clone()));
            }
        };
        let embedded = self.encoder.embed(timesteps, conditioning);
        let (time, context) = (&embedded.both, &conditioning.context);
        let x = self.encoder.conv_in(sample);
        let Encoded { skips, middle } =
            self.encoder
                .forward(x, time, context, &additions.features, &mut keep);
        let (mut skips, mut x) = match additions.residuals {
            None => (skips, middle),
            Some(residuals) => {
                let pairs = skips.into_iter().zip(residuals.down);
                let skips = pairs.map(|(skip, residual)| skip + residual);
                (skips.collect(), middle + residuals.mid)
            }
        };
        for (i, block) in self.up_blocks.iter().enumerate() {
            x = block.forward(x, time, context, &mut skips);
            keep(format!("up_{i}"), &x);
        }
        if let Some(stages) = stages {
            stages.time_embedding = Some(embedded.time);
            stages.add_embedding = Some(embedded.added);
        }
        self.conv_out.forward(self.conv_norm_out.forward_silu(x))
    }
}
