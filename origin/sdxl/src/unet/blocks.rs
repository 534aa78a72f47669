//! The levels of the UNet: resnets, with or without transformers, then a change of size.

use burn::tensor::Tensor;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};

use super::resnet::{ResnetBlock2D, ResnetShape};
use super::transformer::{Transformer2DModel, TransformerShape};
use crate::LoadError;
use crate::nn::{Conv2d, ConvShape};
use crate::weights::Weights;

/// A resnet, and the transformer after it where the level has one.
#[derive(Debug)]
struct Layer {
    resnet: ResnetBlock2D,
    attention: Option<Transformer2DModel>,
}

impl Layer {
    fn load(
        weights: &Weights<'_>,
        index: usize,
        resnet: ResnetShape,
        transformer: Option<TransformerShape>,
    ) -> Result<Self, LoadError> {
        let resnet = ResnetBlock2D::load(&weights.child(format!("resnets.{index}")), resnet)?;
        let attention = transformer
            .map(|shape| {
                Transformer2DModel::load(&weights.child(format!("attentions.{index}")), shape)
            })
            .transpose()?;
        Ok(Self { resnet, attention })
    }

    fn forward(&self, x: Tensor<4>, time: &Tensor<2>, context: &Tensor<3>) -> Tensor<4> {
        let x = self.resnet.forward(x, Some(time));
        match &self.attention {
            Some(attention) => attention.forward(x, context),
            None => x,
        }
    }
}

/// Sizes of a level.
#[derive(Clone, Copy, Debug)]
pub(super) struct LevelShape {
    /// The first resnet's sizes; the others have as many channels in as out.
    pub resnet: ResnetShape,
    pub transformer: Option<TransformerShape>,
    pub layers: usize,
    /// Whether the size changes at the end.
    pub resample: bool,
}

/// `DownBlock2D` and `CrossAttnDownBlock2D`.
#[derive(Debug)]
pub(super) struct DownBlock {
    layers: Vec<Layer>,
    downsampler: Option<Conv2d>,
}

impl DownBlock {
    pub(super) fn load(weights: &Weights<'_>, shape: LevelShape) -> Result<Self, LoadError> {
        let output = shape.resnet.output;
        let layers = (0..shape.layers)
            .map(|i| {
                let input = if i == 0 { shape.resnet.input } else { output };
                let resnet = ResnetShape {
                    input,
                    ..shape.resnet
                };
                Layer::load(weights, i, resnet, shape.transformer)
            })
            .collect::<Result<_, _>>()?;
        let halve = ConvShape {
            stride: 2,
            ..ConvShape::same(output, output)
        };
        let downsampler = shape
            .resample
            .then(|| Conv2d::load(&weights.child("downsamplers.0.conv"), halve))
            .transpose()?;
        Ok(Self {
            layers,
            downsampler,
        })
    }

    /// Pushes every layer's output onto `skips` for the way up. A `feature` is added to the last
    /// layer's output, or after the change of size in a level without transformers, which is what
    /// diffusers does: T2I-Adapters were trained so.
    pub(super) fn forward(
        &self,
        mut x: Tensor<4>,
        time: &Tensor<2>,
        context: &Tensor<3>,
        feature: Option<&Tensor<4>>,
        skips: &mut Vec<Tensor<4>>,
    ) -> Tensor<4> {
        let has_attention = self.layers.iter().any(|layer| layer.attention.is_some());
        let inside = feature.filter(|_| has_attention || self.downsampler.is_none());
        for (i, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x, time, context);
            if let Some(feature) = inside.filter(|_| i + 1 == self.layers.len()) {
                x = x + feature.clone();
            }
            skips.push(x.clone());
        }
        if let Some(downsampler) = &self.downsampler {
            x = downsampler.forward(x);
            if let Some(feature) = feature.filter(|_| !has_attention) {
                x = x + feature.clone();
            }
            skips.push(x.clone());
        }
        x
    }
}

/// `UpBlock2D` and `CrossAttnUpBlock2D`.
#[derive(Debug)]
pub(super) struct UpBlock {
    layers: Vec<Layer>,
    upsampler: Option<Conv2d>,
}

impl UpBlock {
    /// `skips`: channels of each layer's skip connection, in the order they are used.
    pub(super) fn load(
        weights: &Weights<'_>,
        shape: LevelShape,
        skips: &[usize],
    ) -> Result<Self, LoadError> {
        let output = shape.resnet.output;
        let layers = skips
            .iter()
            .enumerate()
            .map(|(i, skip)| {
                let input = if i == 0 { shape.resnet.input } else { output };
                let resnet = ResnetShape {
                    input: input + skip,
                    ..shape.resnet
                };
                Layer::load(weights, i, resnet, shape.transformer)
            })
            .collect::<Result<_, _>>()?;
        let upsampler = shape
            .resample
            .then(|| {
                let same = ConvShape::same(output, output);
                Conv2d::load(&weights.child("upsamplers.0.conv"), same)
            })
            .transpose()?;
        Ok(Self { layers, upsampler })
    }

    /// Takes as many of `skips` off the end as there are layers.
    pub(super) fn forward(
        &self,
        mut x: Tensor<4>,
        time: &Tensor<2>,
        context: &Tensor<3>,
        skips: &mut Vec<Tensor<4>>,
    ) -> Tensor<4> {
        for layer in &self.layers {
            if let Some(skip) = skips.pop() {
                x = Tensor::cat(vec![x, skip], 1);
            }
            x = layer.forward(x, time, context);
        }
        if let Some(upsampler) = &self.upsampler {
            let [_, _, height, width] = x.dims();
            // An odd side was halved upwards: the next level's own size is what fits it again.
            let target = match skips.last().map(Tensor::dims) {
                Some([_, _, height, width]) => [height, width],
                None => [2 * height, 2 * width],
            };
            x = upsampler.forward(resize_nearest(x, target));
        }
        x
    }
}

/// Nearest-neighbour resize to `[height, width]`.
pub(crate) fn resize_nearest(x: Tensor<4>, target: [usize; 2]) -> Tensor<4> {
    let nearest = InterpolateOptions::new(InterpolateMode::Nearest);
    interpolate(x, nearest.with_output_size(target))
}

/// `UNetMidBlock2DCrossAttn`, or `UNetMidBlock2D` with one resnet and nothing else.
#[derive(Debug)]
pub(super) struct MidBlock {
    first: ResnetBlock2D,
    rest: Option<(Transformer2DModel, ResnetBlock2D)>,
}

impl MidBlock {
    pub(super) fn load(
        weights: &Weights<'_>,
        resnet: ResnetShape,
        transformer: Option<TransformerShape>,
    ) -> Result<Self, LoadError> {
        let rest = |shape| {
            let attention = Transformer2DModel::load(&weights.child("attentions.0"), shape)?;
            let last = ResnetBlock2D::load(&weights.child("resnets.1"), resnet)?;
            Ok((attention, last))
        };
        Ok(Self {
            first: ResnetBlock2D::load(&weights.child("resnets.0"), resnet)?,
            rest: transformer.map(rest).transpose()?,
        })
    }

    pub(super) fn forward(&self, x: Tensor<4>, time: &Tensor<2>, context: &Tensor<3>) -> Tensor<4> {
        let x = self.first.forward(x, Some(time));
        match &self.rest {
            Some((attention, last)) => last.forward(attention.forward(x, context), Some(time)),
            None => x,
        }
    }
}
