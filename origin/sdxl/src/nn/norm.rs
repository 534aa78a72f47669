//! `torch.nn.LayerNorm` and `torch.nn.GroupNorm`, in f32 whatever type their inputs have: the sum
//! of many squares is what 16 bits are worst at.

use burn::tensor::module::layer_norm;
use burn::tensor::{DType, Tensor, activation};

use crate::LoadError;
use crate::weights::Weights;

/// Normalises the last dimension.
#[derive(Debug)]
pub struct LayerNorm {
    weight: Tensor<1>,
    bias: Tensor<1>,
    eps: f64,
}

impl LayerNorm {
    /// Loads `weight` and `bias`, both `[width]`.
    ///
    /// # Errors
    /// What [`Weights::tensor`] says of either.
    pub fn load(weights: &Weights<'_>, width: usize, eps: f64) -> Result<Self, LoadError> {
        Ok(Self {
            weight: weights.tensor("weight", [width])?.cast(DType::F32),
            bias: weights.tensor("bias", [width])?.cast(DType::F32),
            eps,
        })
    }

    /// `[…, width]`, shape kept.
    #[must_use]
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let (dtype, bias) = (x.dtype(), Some(self.bias.clone()));
        layer_norm(x.cast(DType::F32), self.weight.clone(), bias, self.eps).cast(dtype)
    }
}

/// Normalises groups of channels over their pixels.
#[derive(Debug)]
pub struct GroupNorm {
    /// `[1, channels, 1, 1]`
    weight: Tensor<4>,
    /// `[1, channels, 1, 1]`
    bias: Tensor<4>,
    groups: usize,
    eps: f64,
}

impl GroupNorm {
    /// Loads `weight` and `bias`, both `[channels]`.
    ///
    /// # Errors
    /// What [`Weights::tensor`] says of either.
    pub fn load(
        weights: &Weights<'_>,
        groups: usize,
        channels: usize,
        eps: f64,
    ) -> Result<Self, LoadError> {
        let shape = [1, channels, 1, 1];
        Ok(Self {
            weight: weights
                .tensor("weight", [channels])?
                .cast(DType::F32)
                .reshape(shape),
            bias: weights
                .tensor("bias", [channels])?
                .cast(DType::F32)
                .reshape(shape),
            groups,
            eps,
        })
    }

    /// `[batch, channels, height, width]`, shape kept.
    #[must_use]
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let dtype = x.dtype();
        self.normed(x).cast(dtype)
    }

    /// [`GroupNorm::forward`], then `SiLU`.
    #[must_use]
    pub fn forward_silu(&self, x: Tensor<4>) -> Tensor<4> {
        let dtype = x.dtype();
        activation::silu(self.normed(x)).cast(dtype)
    }

    fn normed(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let groups = x.cast(DType::F32).reshape([
            batch,
            self.groups,
            channels / self.groups * height * width,
        ]);
        let centred = groups.clone() - groups.mean_dim(2);
        let variance = centred.clone().square().mean_dim(2);
        let deviation = variance.add_scalar(self.eps).sqrt();
        // Scaling by the channel's weight over the group's deviation, in one pass over the pixels.
        let scale = self
            .weight
            .clone()
            .reshape([1, self.groups, channels / self.groups])
            / deviation;
        let scale = scale.reshape([batch, channels, 1, 1]);
        centred.reshape([batch, channels, height, width]) * scale + self.bias.clone()
    }
}
