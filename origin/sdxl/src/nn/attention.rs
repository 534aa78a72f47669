//! Multi-head attention as diffusers' `Attention` stores it.

use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{DType, Tensor};

use super::Linear;
use crate::LoadError;
use crate::device::matmul_sums;
use crate::weights::Weights;

/// Scaled dot-product attention with learned projections.
#[derive(Debug)]
pub struct Attention {
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
    heads: usize,
    /// The type it computes in.
    sums: DType,
}

impl Attention {
    /// Loads `to_q`, `to_k`, `to_v` (without biases, but for the VAE's) and `to_out.0`.
    /// `context` is the width of what keys and values are made of.
    ///
    /// # Errors
    /// What [`Weights::tensor`] says of any tensor.
    pub fn load(
        weights: &Weights<'_>,
        width: usize,
        context: usize,
        heads: usize,
    ) -> Result<Self, LoadError> {
        let projection = |name: &str, input| {
            let weights = weights.child(name);
            if weights.has("bias") {
                Linear::load(&weights, input, width)
            } else {
                Linear::load_without_bias(&weights, input, width)
            }
        };
        Ok(Self {
            to_q: projection("to_q", width)?,
            to_k: projection("to_k", context)?,
            to_v: projection("to_v", context)?,
            to_out: Linear::load(&weights.child("to_out.0"), width, width)?,
            heads,
            sums: matmul_sums(weights.device(), weights.dtype()),
        })
    }

    /// `x` `[batch, tokens, width]` looks at `context` `[batch, tokens′, context]`; the shape
    /// of `x` is kept.
    #[must_use]
    pub fn forward(&self, x: Tensor<3>, context: Tensor<3>) -> Tensor<3> {
        let q = self.split(self.to_q.forward(x));
        let k = self.split(self.to_k.forward(context.clone()));
        let v = self.split(self.to_v.forward(context));
        let dtype = q.dtype();
        let [q, k, v] = [q, k, v].map(|x| x.cast(self.sums));
        let mixed = attention(q, k, v, None, None, AttentionModuleOptions::default()).cast(dtype);
        self.to_out.forward(merge_heads(mixed))
    }

    fn split(&self, x: Tensor<3>) -> Tensor<4> {
        split_heads(x, self.heads)
    }
}

/// `[batch, tokens, width]` to `[batch, heads, tokens, width / heads]`.
pub(crate) fn split_heads(x: Tensor<3>, heads: usize) -> Tensor<4> {
    let [batch, tokens, width] = x.dims();
    x.reshape([batch, tokens, heads, width / heads])
        .swap_dims(1, 2)
}

/// `[batch, heads, tokens, width]` to `[batch, tokens, heads × width]`.
pub(crate) fn merge_heads(x: Tensor<4>) -> Tensor<3> {
    let [batch, heads, tokens, width] = x.dims();
    x.swap_dims(1, 2).reshape([batch, tokens, heads * width])
}
