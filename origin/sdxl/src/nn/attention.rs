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
    heads: Heads,
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
            heads: Heads::new(weights, heads),
        })
    }

    /// `x` `[batch, tokens, width]` looks at `context` `[batch, tokens′, context]`; the shape
    /// of `x` is kept.
    #[must_use]
    pub fn forward(&self, x: Tensor<3>, context: Tensor<3>) -> Tensor<3> {
        let q = self.to_q.forward(x);
        let k = self.to_k.forward(context.clone());
        let v = self.to_v.forward(context);
        self.to_out.forward(self.heads.attend([q, k, v], false))
    }
}

/// Scaled dot-product attention, without its projections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heads {
    count: usize,
    /// The type it computes in.
    sums: DType,
}

impl Heads {
    /// For tensors of the type of `weights`, and on their device.
    pub fn new(weights: &Weights<'_>, count: usize) -> Self {
        Self {
            count,
            sums: matmul_sums(weights.device(), weights.dtype()),
        }
    }

    /// Queries `[batch, tokens, width]`, keys and values `[batch, tokens′, width]` to what is
    /// looked at `[batch, tokens, width]`, in their type; with `is_causal` nothing that comes
    /// later.
    pub fn attend(self, qkv: [Tensor<3>; 3], is_causal: bool) -> Tensor<3> {
        let dtype = qkv[0].dtype();
        let [q, k, v] = qkv.map(|x| split_heads(x, self.count).cast(self.sums));
        let options = AttentionModuleOptions {
            is_causal,
            ..Default::default()
        };
        merge_heads(attention(q, k, v, None, None, options).cast(dtype))
    }
}

/// `[batch, tokens, width]` to `[batch, heads, tokens, width / heads]`.
fn split_heads(x: Tensor<3>, heads: usize) -> Tensor<4> {
    let [batch, tokens, width] = x.dims();
    x.reshape([batch, tokens, heads, width / heads])
        .swap_dims(1, 2)
}

/// `[batch, heads, tokens, width]` to `[batch, tokens, heads × width]`.
fn merge_heads(x: Tensor<4>) -> Tensor<3> {
    let [batch, heads, tokens, width] = x.dims();
    x.swap_dims(1, 2).reshape([batch, tokens, heads * width])
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn states(step: f32) -> Tensor<3> {
        let values: Vec<f32> = (0..24).map(|i| (i as f32 * step).sin()).collect();
        let data = TensorData::new(values, [1, 3, 8]);
        Tensor::<3>::from_data(data, (&Device::flex(), DType::F32)).cast(DType::F16)
    }

    /// Three tokens look at each other; the last one's key is times `last`.
    fn attend(last: f32, sums: DType, is_causal: bool) -> Tensor<3> {
        let keys = states(0.7);
        let changed = keys.clone().narrow(1, 2, 1).mul_scalar(last);
        let keys = Tensor::cat(vec![keys.narrow(1, 0, 2), changed], 1);
        let heads = Heads { count: 2, sums };
        heads.attend([states(0.3), keys, states(1.1)], is_causal)
    }

    fn numbers(x: Tensor<3>) -> Vec<f32> {
        x.try_into_vec_as::<f32>().expect("numbers")
    }

    #[test]
    fn what_is_added_up_in_f32_is_given_back_in_its_own_type() {
        let mixed = attend(1.0, DType::F32, false);
        assert_eq!(mixed.dtype(), DType::F16);
        let plain = numbers(attend(1.0, DType::F16, false));
        for (ours, plain) in numbers(mixed).into_iter().zip(plain) {
            assert!((ours - plain).abs() < 2e-3, "{ours} {plain}");
        }
    }

    #[test]
    fn only_without_is_causal_the_first_token_sees_the_last() {
        let first =
            |last_key, is_causal| numbers(attend(last_key, DType::F32, is_causal).narrow(1, 0, 1));
        assert_eq!(first(1.0, true), first(-3.0, true));
        assert_ne!(first(1.0, false), first(-3.0, false));
    }
}
