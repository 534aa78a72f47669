//! The way down and the middle: the half of a UNet that a `ControlNet` is a copy of.

use burn::tensor::{DType, Device, Tensor};

use super::blocks::{DownBlock, LevelShape, MidBlock};
use super::conditioning::Conditioning;
use super::embedding::{GUIDANCE, Sinusoids, TimestepEmbedding};
use super::encoder_config::EncoderConfig;
use super::resnet::{ResnetShape, activate};
use super::transformer::TransformerShape;
use crate::LoadError;
use crate::nn::{Conv2d, ConvShape};
use crate::weights::Weights;

/// Timesteps and conditioning, `conv_in`, the levels on the way down, and the middle.
#[derive(Debug)]
pub(crate) struct Encoder {
    config: EncoderConfig,
    /// Width of the guidance scale's embedding, where it is told it.
    time_cond_proj_dim: Option<usize>,
    device: Device,
    dtype: DType,
    time_embedding: TimestepEmbedding,
    add_embedding: TimestepEmbedding,
    conv_in: Conv2d,
    down_blocks: Vec<DownBlock>,
    mid_block: MidBlock,
}

/// A timestep and conditioning as vectors `[batch, time]`.
pub(crate) struct Embedded {
    /// After the timestep's MLP.
    pub time: Tensor<2>,
    /// After the MLP of pooled text and time ids.
    pub added: Tensor<2>,
    /// Their sum, as every resnet wants it.
    pub both: Tensor<2>,
}

/// What the way down made of latents.
pub(crate) struct Encoded {
    /// Every layer's output, `conv_in`'s first.
    pub skips: Vec<Tensor<4>>,
    /// After the middle.
    pub middle: Tensor<4>,
}

impl Encoder {
    pub fn load(
        weights: &Weights<'_>,
        config: &EncoderConfig,
        time_cond_proj_dim: Option<usize>,
    ) -> Result<Self, LoadError> {
        let channels = &config.block_out_channels;
        let (first, last) = (channels[0], channels[channels.len() - 1]);
        let time = config.time_width();
        let down_blocks = (0..config.levels())
            .map(|level| {
                let shape = LevelShape {
                    resnet: config.resnet(channels[level.saturating_sub(1)], channels[level]),
                    transformer: config
                        .has_attention(level)
                        .then(|| config.transformer(level)),
                    layers: config.layers_per_block.at(level),
                    resample: level + 1 < config.levels(),
                };
                DownBlock::load(&weights.child(format!("down_blocks.{level}")), shape)
            })
            .collect::<Result<_, _>>()?;
        let embedding = |name, input, condition| {
            TimestepEmbedding::load(&weights.child(name), input, time, condition)
        };
        Ok(Self {
            device: weights.device().clone(),
            dtype: weights.dtype(),
            time_embedding: embedding("time_embedding", first, time_cond_proj_dim)?,
            add_embedding: embedding(
                "add_embedding",
                config.projection_class_embeddings_input_dim,
                None,
            )?,
            conv_in: Conv2d::load(
                &weights.child("conv_in"),
                ConvShape::same(config.in_channels, first),
            )?,
            down_blocks,
            mid_block: MidBlock::load(
                &weights.child("mid_block"),
                config.resnet(last, last),
                config
                    .has_mid_attention()
                    .then(|| config.transformer(config.levels() - 1)),
            )?,
            config: config.clone(),
            time_cond_proj_dim,
        })
    }

    /// The type it computes in.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// What every resnet is told of timesteps, one a picture, and conditioning.
    pub fn embed(&self, timesteps: &[f32], conditioning: &Conditioning) -> Embedded {
        let config = &self.config;
        let order = Sinusoids {
            cosines_first: config.flip_sin_to_cos,
            freq_shift: config.freq_shift,
        };
        let embed = |sinusoids: Sinusoids, values: &[f32], width| {
            let embedded = sinusoids.embed(values, width, &self.device);
            embedded.cast(self.dtype)
        };
        let condition = self.time_cond_proj_dim.map(|width| {
            // As latent consistency models were distilled with it (Luo et al. 2023).
            let scale = conditioning.guidance_scale.unwrap_or(1.0);
            let values = vec![(scale as f32 - 1.0) * 1000.0; timesteps.len()];
            embed(GUIDANCE, &values, width)
        });
        let time = embed(order, timesteps, config.block_out_channels[0]);
        let ids: Vec<f32> = conditioning.time_ids.concat();
        let batch = conditioning.time_ids.len();
        let each = ids.len() / batch.max(1) * config.addition_time_embed_dim;
        let ids = embed(order, &ids, config.addition_time_embed_dim).reshape([batch, each]);
        let added = Tensor::cat(vec![conditioning.pooled.clone(), ids], 1);
        let time = self.time_embedding.forward(time, condition);
        let added = self.add_embedding.forward(added, None);
        Embedded {
            both: activate(time.clone() + added.clone()),
            time,
            added,
        }
    }

    /// `sample` `[batch, in_channels, height, width]` as the first level wants it.
    pub fn conv_in(&self, sample: Tensor<4>) -> Tensor<4> {
        self.conv_in.forward(sample)
    }

    /// Takes what [`Encoder::conv_in`] made of a sample through every level; `features` are added
    /// to them, and `keep` is told what each says.
    pub fn forward(
        &self,
        mut x: Tensor<4>,
        time: &Tensor<2>,
        context: &Tensor<3>,
        features: &[Tensor<4>],
        keep: &mut dyn FnMut(String, &Tensor<4>),
    ) -> Encoded {
        let mut skips = vec![x.clone()];
        for (i, block) in self.down_blocks.iter().enumerate() {
            x = block.forward(x, time, context, features.get(i), &mut skips);
            keep(format!("down_{i}"), &x);
        }
        let mut middle = self.mid_block.forward(x, time, context);
        if let Some(feature) = features.get(self.down_blocks.len()) {
            middle = middle + feature.clone();
        }
        keep("mid".to_owned(), &middle);
        Encoded { skips, middle }
    }
}

impl EncoderConfig {
    /// Width of the time embedding.
    fn time_width(&self) -> usize {
        4 * self.block_out_channels[0]
    }

    pub(super) fn resnet(&self, input: usize, output: usize) -> ResnetShape {
        ResnetShape {
            input,
            output,
            time: Some(self.time_width()),
            groups: self.norm_num_groups,
            eps: self.norm_eps,
        }
    }

    pub(super) fn transformer(&self, level: usize) -> TransformerShape {
        TransformerShape {
            channels: self.block_out_channels[level],
            heads: self.heads(level),
            context: self.cross_attention_dim.at(level),
            layers: self.transformer_layers_per_block.at(level),
            groups: self.norm_num_groups,
        }
    }

    /// How many latents a side are one where a T2I-Adapter adds: at each level, and in the middle.
    pub(crate) fn feature_strides(&self) -> Vec<usize> {
        let mut stride = 1;
        let mut strides = Vec::new();
        for level in 0..self.levels() {
            let before = stride;
            if level + 1 < self.levels() {
                stride *= 2;
            }
            strides.push(if self.has_attention(level) {
                before
            } else {
                stride
            });
        }
        strides.push(stride);
        strides
    }

    /// Channels of every skip connection, in the order the way down makes them.
    pub(crate) fn skips(&self) -> Vec<usize> {
        let channels = &self.block_out_channels;
        let mut skips = vec![channels[0]];
        for (level, layers) in self.layers().into_iter().enumerate() {
            let resampled = usize::from(level + 1 < self.levels());
            skips.extend(vec![channels[level]; layers + resampled]);
        }
        skips
    }
}
