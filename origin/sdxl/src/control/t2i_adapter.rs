//! `T2IAdapter` of diffusers (Mou et al. 2023).

use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;
use burn::tensor::{DType, Tensor, activation};
use serde::Deserialize;

use crate::LoadError;
use crate::model::{Configuration, Network, first_wrong};
use crate::nn::{Conv2d, ConvShape};
use crate::weights::Weights;

/// `config.json`, with diffusers' names.
#[derive(Clone, Debug, Deserialize)]
pub struct T2iAdapterConfig {
    /// Channels of a picture: 3, or 1 for one without colours.
    pub in_channels: usize,
    /// Channels of each level.
    pub channels: Vec<usize>,
    /// Resnets of each level.
    pub num_res_blocks: usize,
    /// Pixels a side that become one before the first level.
    pub downscale_factor: usize,
    adapter_type: String,
}

impl T2iAdapterConfig {
    /// SDXL's adapters halve the size once, before their third level; others before every level
    /// but the first.
    fn halves(&self, level: usize) -> bool {
        match self.adapter_type.as_str() {
            "full_adapter_xl" => level == 2,
            _ => level > 0,
        }
    }

    /// Pixels a side that are one in what is added at each level.
    pub fn strides(&self) -> Vec<usize> {
        let mut stride = self.downscale_factor;
        let levels = (0..self.channels.len()).map(|level| {
            if self.halves(level) {
                stride *= 2;
            }
            stride
        });
        levels.collect()
    }
}

impl Configuration for T2iAdapterConfig {
    fn unsupported(&self) -> Option<String> {
        first_wrong([
            (
                matches!(
                    self.adapter_type.as_str(),
                    "full_adapter_xl" | "full_adapter"
                ),
                format!("adapter_type {}", self.adapter_type),
            ),
            (
                matches!(self.in_channels, 1 | 3),
                format!("in_channels {}", self.in_channels),
            ),
            (
                !self.channels.is_empty() && (1..=64).contains(&self.downscale_factor),
                "an empty channels or a downscale_factor outside of 1 to 64".to_owned(),
            ),
        ])
    }
}

/// Convolutions that make of a picture what is added to each level of the UNet's way down.
#[derive(Debug)]
pub(crate) struct T2iAdapter {
    config: T2iAdapterConfig,
    dtype: DType,
    conv_in: Conv2d,
    body: Vec<Block>,
}

impl Network for T2iAdapter {
    type Config = T2iAdapterConfig;

    fn build(weights: &Weights<'_>, config: &T2iAdapterConfig) -> Result<Self, LoadError> {
        let adapter = weights.child("adapter");
        let channels = &config.channels;
        let pixels = config.in_channels * config.downscale_factor.pow(2);
        let body = channels.iter().enumerate().map(|(level, output)| {
            let weights = adapter.child(format!("body.{level}"));
            let input = channels[level.saturating_sub(1)];
            Block::load(
                &weights,
                [input, *output],
                config.num_res_blocks,
                config.halves(level),
            )
        });
        Ok(Self {
            dtype: weights.dtype(),
            conv_in: Conv2d::load(
                &adapter.child("conv_in"),
                ConvShape::same(pixels, channels[0]),
            )?,
            body: body.collect::<Result<_, _>>()?,
            config: config.clone(),
        })
    }
}

impl T2iAdapter {
    /// The configuration it was made from.
    pub fn config(&self) -> &T2iAdapterConfig {
        &self.config
    }

    /// The type it computes in.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// What is to be added for a picture `[batch, in_channels, height, width]` in 0 … 1, whose
    /// sides `downscale_factor` divides: `[batch, channels, height′, width′]` for each level.
    pub fn forward(&self, picture: Tensor<4>) -> Vec<Tensor<4>> {
        let pixels = pixel_unshuffle(picture, self.config.downscale_factor);
        let mut x = self.conv_in.forward(pixels);
        let mut features = Vec::new();
        for block in &self.body {
            x = block.forward(x);
            features.push(x.clone());
        }
        features
    }
}

/// `torch.nn.PixelUnshuffle`: squares of pixels become channels.
fn pixel_unshuffle(x: Tensor<4>, side: usize) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let (rows, columns) = (height / side, width / side);
    x.reshape([batch, channels, rows, side, columns, side])
        .permute([0, 1, 3, 5, 2, 4])
        .reshape([batch, channels * side * side, rows, columns])
}

/// `AdapterBlock`.
#[derive(Debug)]
struct Block {
    halves: bool,
    in_conv: Option<Conv2d>,
    /// A 3×3 and a 1×1 convolution each.
    resnets: Vec<[Conv2d; 2]>,
}

impl Block {
    fn load(
        weights: &Weights<'_>,
        [input, output]: [usize; 2],
        resnets: usize,
        halves: bool,
    ) -> Result<Self, LoadError> {
        let resnet = |i| -> Result<_, LoadError> {
            let weights = weights.child(format!("resnets.{i}"));
            Ok([
                Conv2d::load(&weights.child("block1"), ConvShape::same(output, output))?,
                Conv2d::load(
                    &weights.child("block2"),
                    ConvShape::pointwise(output, output),
                )?,
            ])
        };
        let in_conv = (input != output).then(|| {
            let shape = ConvShape::pointwise(input, output);
            Conv2d::load(&weights.child("in_conv"), shape)
        });
        Ok(Self {
            halves,
            in_conv: in_conv.transpose()?,
            resnets: (0..resnets).map(resnet).collect::<Result<_, _>>()?,
        })
    }

    fn forward(&self, mut x: Tensor<4>) -> Tensor<4> {
        if self.halves {
            // An odd side is rounded up.
            let options = AvgPoolOptions::new([2; 2])
                .with_stride([2; 2])
                .with_ceil_mode(true);
            x = avg_pool2d(x, options);
        }
        if let Some(conv) = &self.in_conv {
            x = conv.forward(x);
        }
        self.resnets.iter().fold(x, |x, [block1, block2]| {
            let hidden = activation::relu(block1.forward(x.clone()));
            block2.forward(hidden) + x
        })
    }
}
