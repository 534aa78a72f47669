//! The whole UNet.

use burn::tensor::{DType, Device, Tensor};

use super::blocks::{DownBlock, LevelShape, MidBlock, UpBlock};
use super::config::UNetConfig;
use super::embedding::{GUIDANCE, Sinusoids, TimestepEmbedding};
use super::resnet::{ResnetShape, activate};
use super::transformer::TransformerShape;
use crate::LoadError;
use crate::model::Network;
use crate::nn::{Conv2d, ConvShape, GroupNorm};
use crate::weights::Weights;

/// What the denoising depends on besides latents and timestep.
#[derive(Clone, Debug)]
pub struct Conditioning {
    /// Text: `[batch, tokens, cross_attention]`
    pub context: Tensor<3>,
    /// Pooled text: `[batch, projection]`
    pub pooled: Tensor<2>,
    /// For each picture: original height and width, crop top and left, target height and
    /// width; for a refiner an aesthetic score instead of the target.
    pub time_ids: Vec<Vec<f32>>,
    /// What a distilled UNet is told instead of being guided.
    pub guidance_scale: Option<f64>,
}

impl Conditioning {
    /// Both one after the other, in one batch.
    #[must_use]
    pub fn concat(first: &Self, second: &Self) -> Self {
        Self {
            context: Tensor::cat(vec![first.context.clone(), second.context.clone()], 0),
            pooled: Tensor::cat(vec![first.pooled.clone(), second.pooled.clone()], 0),
            time_ids: [&first.time_ids[..], &second.time_ids[..]].concat(),
            guidance_scale: second.guidance_scale,
        }
    }
}

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
    device: Device,
    dtype: DType,
    time_embedding: TimestepEmbedding,
    add_embedding: TimestepEmbedding,
    conv_in: Conv2d,
    down_blocks: Vec<DownBlock>,
    mid_block: MidBlock,
    up_blocks: Vec<UpBlock>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Network for UNet2DConditionModel {
    type Config = UNetConfig;

    fn build(weights: &Weights<'_>, config: &UNetConfig) -> Result<Self, LoadError> {
        let channels = &config.block_out_channels;
        let (first, last) = (channels[0], channels[channels.len() - 1]);
        let time = 4 * first;
        let groups = config.norm_num_groups;
        let resnet = |input, output| ResnetShape {
            input,
            output,
            time: Some(time),
            groups,
            eps: config.norm_eps,
        };
        let transformer = |level: usize| TransformerShape {
            channels: channels[level],
            heads: config.heads(level),
            context: config.cross_attention_dim.at(level),
            layers: config.transformer_layers_per_block.at(level),
            groups,
        };
        let levels = channels.len();
        let mut down_blocks = Vec::new();
        // Channels of every skip connection, in the order the way down makes them.
        let mut skips = vec![first];
        for level in 0..levels {
            let input = channels[level.saturating_sub(1)];
            let shape = LevelShape {
                resnet: resnet(input, channels[level]),
                transformer: config.down_block_types[level]
                    .starts_with("CrossAttn")
                    .then(|| transformer(level)),
                layers: config.layers_per_block.at(level),
                resample: level + 1 < levels,
            };
            skips.extend(vec![
                channels[level];
                shape.layers + usize::from(shape.resample)
            ]);
            let weights = weights.child(format!("down_blocks.{level}"));
            down_blocks.push(DownBlock::load(&weights, shape)?);
        }
        let mid_block = MidBlock::load(
            &weights.child("mid_block"),
            resnet(last, last),
            transformer(levels - 1),
        )?;
        let mut up_blocks = Vec::new();
        for (index, level) in (0..levels).rev().enumerate() {
            let input = channels[(level + 1).min(levels - 1)];
            let layers = config.layers_per_block.at(level) + 1;
            let shape = LevelShape {
                resnet: resnet(input, channels[level]),
                transformer: config.up_block_types[index]
                    .starts_with("CrossAttn")
                    .then(|| transformer(level)),
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
            device: weights.device().clone(),
            dtype: weights.dtype(),
            time_embedding: TimestepEmbedding::load(
                &weights.child("time_embedding"),
                first,
                time,
                config.time_cond_proj_dim,
            )?,
            add_embedding: TimestepEmbedding::load(
                &weights.child("add_embedding"),
                config.projection_class_embeddings_input_dim,
                time,
                None,
            )?,
            conv_in: Conv2d::load(
                &weights.child("conv_in"),
                ConvShape::same(config.in_channels, first),
            )?,
            down_blocks,
            mid_block,
            up_blocks,
            conv_norm_out: GroupNorm::load(
                &weights.child("conv_norm_out"),
                groups,
                first,
                config.norm_eps,
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
        self.dtype
    }

    /// Predicts noise (or velocity, as the checkpoint was trained) for `sample`
    /// `[batch, in_channels, height, width]` at one timestep a picture.
    #[must_use]
    pub fn forward(
        &self,
        sample: Tensor<4>,
        timesteps: &[f32],
        conditioning: &Conditioning,
    ) -> Tensor<4> {
        self.forward_observed(sample, timesteps, conditioning, None)
    }

    /// The same, keeping what every stage said.
    #[must_use]
    pub fn forward_observed(
        &self,
        sample: Tensor<4>,
        timesteps: &[f32],
        conditioning: &Conditioning,
        mut stages: Option<&mut Stages>,
    ) -> Tensor<4> {
        let mut keep = |name: String, x: &Tensor<4>| {
            if let Some(stages) = stages.as_deref_mut() {
                stages.blocks.push((name, x.clone()));
            }
        };
        let (time, added) = self.embed(timesteps, conditioning);
        let emb = activate(time.clone() + added.clone());
        let context = &conditioning.context;

        let mut x = self.conv_in.forward(sample);
        let mut skips = vec![x.clone()];
        for (i, block) in self.down_blocks.iter().enumerate() {
            x = block.forward(x, &emb, context, &mut skips);
            keep(format!("down_{i}"), &x);
        }
        x = self.mid_block.forward(x, &emb, context);
        keep("mid".to_owned(), &x);
        for (i, block) in self.up_blocks.iter().enumerate() {
            x = block.forward(x, &emb, context, &mut skips);
            keep(format!("up_{i}"), &x);
        }
        if let Some(stages) = stages {
            stages.time_embedding = Some(time);
            stages.add_embedding = Some(added);
        }
        self.conv_out.forward(self.conv_norm_out.forward_silu(x))
    }

    /// Timestep and conditioning as two vectors `[batch, time]`, to be added.
    fn embed(&self, timesteps: &[f32], conditioning: &Conditioning) -> (Tensor<2>, Tensor<2>) {
        let config = &self.config;
        let order = Sinusoids {
            cosines_first: config.flip_sin_to_cos,
            freq_shift: config.freq_shift,
        };
        let embed =
            |values: &[f32], width| order.embed(values, width, &self.device).cast(self.dtype);
        let time = embed(timesteps, config.block_out_channels[0]);
        let condition = config.time_cond_proj_dim.map(|width| {
            // As latent consistency models were distilled with it (Luo et al. 2023).
            let scale = conditioning.guidance_scale.unwrap_or(1.0);
            let values = vec![(scale as f32 - 1.0) * 1000.0; timesteps.len()];
            GUIDANCE
                .embed(&values, width, &self.device)
                .cast(self.dtype)
        });
        let ids: Vec<f32> = conditioning.time_ids.concat();
        let batch = conditioning.time_ids.len();
        let each = ids.len() / batch.max(1) * config.addition_time_embed_dim;
        let ids = embed(&ids, config.addition_time_embed_dim).reshape([batch, each]);
        let added = Tensor::cat(vec![conditioning.pooled.clone(), ids], 1);
        (
            self.time_embedding.forward(time, condition),
            self.add_embedding.forward(added, None),
        )
    }
}
