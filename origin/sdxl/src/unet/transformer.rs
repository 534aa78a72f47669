//! `Transformer2DModel`: pixels look at each other and at the text.

use burn::tensor::{DType, Tensor, activation};

use crate::LoadError;
use crate::nn::{Attention, GroupNorm, LayerNorm, Linear};
use crate::weights::Weights;

/// Sizes of a transformer.
#[derive(Clone, Copy, Debug)]
pub(super) struct TransformerShape {
    pub channels: usize,
    pub heads: usize,
    /// Width of the text conditioning.
    pub context: usize,
    pub layers: usize,
    pub groups: usize,
}

/// Blocks of attention between two projections, beside a shortcut.
#[derive(Debug)]
pub(super) struct Transformer2DModel {
    norm: GroupNorm,
    proj_in: Linear,
    transformer_blocks: Vec<BasicTransformerBlock>,
    proj_out: Linear,
}

impl Transformer2DModel {
    pub(super) fn load(weights: &Weights<'_>, shape: TransformerShape) -> Result<Self, LoadError> {
        let channels = shape.channels;
        // diffusers fixes this epsilon, whatever `norm_eps` says.
        let norm = GroupNorm::load(&weights.child("norm"), shape.groups, channels, 1e-6)?;
        Ok(Self {
            norm,
            proj_in: Linear::load(&weights.child("proj_in"), channels, channels)?,
            transformer_blocks: (0..shape.layers)
                .map(|i| {
                    let weights = weights.child(format!("transformer_blocks.{i}"));
                    BasicTransformerBlock::load(&weights, shape)
                })
                .collect::<Result<_, _>>()?,
            proj_out: Linear::load(&weights.child("proj_out"), channels, channels)?,
        })
    }

    /// `x` `[batch, channels, height, width]`, `context` `[batch, tokens, context]`; the shape
    /// of `x` is kept.
    pub(super) fn forward(&self, x: Tensor<4>, context: &Tensor<3>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let tokens = self
            .norm
            .forward(x.clone())
            .reshape([batch, channels, height * width])
            .swap_dims(1, 2);
        let mut hidden = self.proj_in.forward(tokens);
        for block in &self.transformer_blocks {
            hidden = block.forward(hidden, context);
        }
        let hidden = self
            .proj_out
            .forward(hidden)
            .swap_dims(1, 2)
            .reshape([batch, channels, height, width]);
        x + hidden
    }
}

#[derive(Debug)]
struct BasicTransformerBlock {
    norm1: LayerNorm,
    attn1: Attention,
    norm2: LayerNorm,
    attn2: Attention,
    norm3: LayerNorm,
    ff: FeedForward,
}

impl BasicTransformerBlock {
    fn load(weights: &Weights<'_>, shape: TransformerShape) -> Result<Self, LoadError> {
        let TransformerShape {
            channels,
            heads,
            context,
            ..
        } = shape;
        let norm = |name| LayerNorm::load(&weights.child(name), channels, 1e-5);
        let attention =
            |name, context| Attention::load(&weights.child(name), channels, context, heads);
        Ok(Self {
            norm1: norm("norm1")?,
            attn1: attention("attn1", channels)?,
            norm2: norm("norm2")?,
            attn2: attention("attn2", context)?,
            norm3: norm("norm3")?,
            ff: FeedForward::load(&weights.child("ff"), channels)?,
        })
    }

    fn forward(&self, x: Tensor<3>, context: &Tensor<3>) -> Tensor<3> {
        let normed = self.norm1.forward(x.clone());
        let x = x + self.attn1.forward(normed.clone(), normed);
        let x = x.clone() + self.attn2.forward(self.norm2.forward(x), context.clone());
        x.clone() + self.ff.forward(self.norm3.forward(x))
    }
}

/// Gated by GELU (`FeedForward` with `GEGLU`), four times as wide inside.
#[derive(Debug)]
struct FeedForward {
    proj: Linear,
    out: Linear,
    inner: usize,
}

impl FeedForward {
    fn load(weights: &Weights<'_>, width: usize) -> Result<Self, LoadError> {
        let inner = 4 * width;
        Ok(Self {
            proj: Linear::load(&weights.child("net.0.proj"), width, 2 * inner)?,
            out: Linear::load(&weights.child("net.2"), inner, width)?,
            inner,
        })
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let both = self.proj.forward(x);
        // In 16 bits GELU's sum of 1 and nearly −1 would leave few digits.
        let (dtype, both) = (both.dtype(), both.cast(DType::F32));
        let value = both.clone().narrow(2, 0, self.inner);
        let gate = both.narrow(2, self.inner, self.inner);
        self.out
            .forward((value * activation::gelu(gate)).cast(dtype))
    }
}
