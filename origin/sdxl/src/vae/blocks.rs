//! The levels of encoder and decoder.

use burn::tensor::Tensor;

use crate::LoadError;
use crate::nn::{Attention, Conv2d, ConvShape, GroupNorm};
use crate::unet::{ResnetBlock2D, ResnetShape, resize_nearest};
use crate::weights::Weights;

/// Epsilon of every norm in the VAE, fixed by diffusers.
pub(super) const EPS: f64 = 1e-6;

fn resnet(input: usize, output: usize, groups: usize) -> ResnetShape {
    ResnetShape {
        input,
        output,
        time: None,
        groups,
        eps: EPS,
    }
}

fn load_resnets(
    weights: &Weights<'_>,
    input: usize,
    output: usize,
    groups: usize,
    count: usize,
) -> Result<Vec<ResnetBlock2D>, LoadError> {
    (0..count)
        .map(|i| {
            let shape = resnet(if i == 0 { input } else { output }, output, groups);
            ResnetBlock2D::load(&weights.child(format!("resnets.{i}")), shape)
        })
        .collect()
}

fn run(resnets: &[ResnetBlock2D], x: Tensor<4>) -> Tensor<4> {
    resnets.iter().fold(x, |x, resnet| resnet.forward(x, None))
}

/// `DownEncoderBlock2D`.
#[derive(Debug)]
pub(super) struct DownEncoderBlock {
    resnets: Vec<ResnetBlock2D>,
    downsampler: Option<Conv2d>,
}

impl DownEncoderBlock {
    pub(super) fn load(
        weights: &Weights<'_>,
        [input, output]: [usize; 2],
        groups: usize,
        layers: usize,
        halve: bool,
    ) -> Result<Self, LoadError> {
        // One zero after each row and column, none before: unlike the UNet's.
        let shape = ConvShape {
            stride: 2,
            padding: (0, 1),
            ..ConvShape::same(output, output)
        };
        Ok(Self {
            resnets: load_resnets(weights, input, output, groups, layers)?,
            downsampler: halve
                .then(|| Conv2d::load(&weights.child("downsamplers.0.conv"), shape))
                .transpose()?,
        })
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = run(&self.resnets, x);
        match &self.downsampler {
            Some(conv) => conv.forward(x),
            None => x,
        }
    }
}

/// `UpDecoderBlock2D`.
#[derive(Debug)]
pub(super) struct UpDecoderBlock {
    resnets: Vec<ResnetBlock2D>,
    upsampler: Option<Conv2d>,
}

impl UpDecoderBlock {
    pub(super) fn load(
        weights: &Weights<'_>,
        [input, output]: [usize; 2],
        groups: usize,
        layers: usize,
        double: bool,
    ) -> Result<Self, LoadError> {
        Ok(Self {
            resnets: load_resnets(weights, input, output, groups, layers)?,
            upsampler: double
                .then(|| {
                    let same = ConvShape::same(output, output);
                    Conv2d::load(&weights.child("upsamplers.0.conv"), same)
                })
                .transpose()?,
        })
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = run(&self.resnets, x);
        let Some(conv) = &self.upsampler else {
            return x;
        };
        let [_, _, height, width] = x.dims();
        conv.forward(resize_nearest(x, [2 * height, 2 * width]))
    }
}

/// `UNetMidBlock2D`: two resnets around attention of one head.
#[derive(Debug)]
pub(super) struct MidBlock {
    resnets: Vec<ResnetBlock2D>,
    group_norm: GroupNorm,
    attention: Attention,
}

impl MidBlock {
    pub(super) fn load(
        weights: &Weights<'_>,
        channels: usize,
        groups: usize,
    ) -> Result<Self, LoadError> {
        let attention = weights.child("attentions.0");
        Ok(Self {
            resnets: load_resnets(weights, channels, channels, groups, 2)?,
            group_norm: GroupNorm::load(&attention.child("group_norm"), groups, channels, EPS)?,
            attention: Attention::load(&attention, channels, channels, 1)?,
        })
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = run(&self.resnets[..1], x);
        let [batch, channels, height, width] = x.dims();
        let tokens = self
            .group_norm
            .forward(x.clone())
            .reshape([batch, channels, height * width])
            .swap_dims(1, 2);
        let mixed = self.attention.forward(tokens.clone(), tokens);
        let x = x + mixed
            .swap_dims(1, 2)
            .reshape([batch, channels, height, width]);
        run(&self.resnets[1..], x)
    }
}
