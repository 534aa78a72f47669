//! `ResnetBlock2D` of diffusers, with a time embedding (UNet) or without (VAE).

use burn::tensor::{Tensor, activation};

use crate::LoadError;
use crate::nn::{Conv2d, ConvShape, GroupNorm, Linear};
use crate::weights::Weights;

/// Sizes of a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResnetShape {
    /// Channels in.
    pub input: usize,
    /// Channels out.
    pub output: usize,
    /// Width of the time embedding; `None` where there is none.
    pub time: Option<usize>,
    /// Groups of both norms.
    pub groups: usize,
    /// Epsilon of both norms.
    pub eps: f64,
}

/// Two normalised convolutions beside a shortcut.
#[derive(Debug)]
pub(crate) struct ResnetBlock2D {
    norm1: GroupNorm,
    conv1: Conv2d,
    time_emb_proj: Option<Linear>,
    norm2: GroupNorm,
    conv2: Conv2d,
    conv_shortcut: Option<Conv2d>,
}

impl ResnetBlock2D {
    pub(crate) fn load(weights: &Weights<'_>, shape: ResnetShape) -> Result<Self, LoadError> {
        let ResnetShape {
            input,
            output,
            time,
            groups,
            eps,
        } = shape;
        let same = |name, from| Conv2d::load(&weights.child(name), ConvShape::same(from, output));
        let norm = |name, channels| GroupNorm::load(&weights.child(name), groups, channels, eps);
        Ok(Self {
            norm1: norm("norm1", input)?,
            conv1: same("conv1", input)?,
            time_emb_proj: time
                .map(|time| Linear::load(&weights.child("time_emb_proj"), time, output))
                .transpose()?,
            norm2: norm("norm2", output)?,
            conv2: same("conv2", output)?,
            conv_shortcut: (input != output)
                .then(|| {
                    let shape = ConvShape::pointwise(input, output);
                    Conv2d::load(&weights.child("conv_shortcut"), shape)
                })
                .transpose()?,
        })
    }

    /// `x` `[batch, input, height, width]`, `time` the time embedding after its `SiLU`
    /// `[batch, time]`; to `[batch, output, height, width]`.
    pub(crate) fn forward(&self, x: Tensor<4>, time: Option<&Tensor<2>>) -> Tensor<4> {
        let mut hidden = self.conv1.forward(self.norm1.forward_silu(x.clone()));
        if let (Some(projection), Some(time)) = (&self.time_emb_proj, time) {
            let [batch, channels, ..] = hidden.dims();
            hidden = hidden
                + projection
                    .forward(time.clone())
                    .reshape([batch, channels, 1, 1]);
        }
        let hidden = self.conv2.forward(self.norm2.forward_silu(hidden));
        let shortcut = match &self.conv_shortcut {
            Some(conv) => conv.forward(x),
            None => x,
        };
        shortcut + hidden
    }
}

/// The time embedding as every resnet wants it.
pub(super) fn activate(time: Tensor<2>) -> Tensor<2> {
    activation::silu(time)
}
