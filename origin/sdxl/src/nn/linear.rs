//! `torch.nn.Linear`.

use burn::tensor::module::linear;
use burn::tensor::{DType, Tensor};

use crate::LoadError;
use crate::device::matmul_sums;
use crate::lora::LowRank;
use crate::weights::Weights;

/// `y = x Wᵀ + b`.
#[derive(Debug)]
pub struct Linear {
    /// `[input, output]`: a transposed view of what PyTorch stores.
    weight: Tensor<2>,
    /// `[output]`
    bias: Option<Tensor<1>>,
    adapters: Vec<Adapter>,
    /// The type it computes in.
    sums: DType,
}

/// A LoRA's addition.
#[derive(Debug)]
struct Adapter {
    /// `[input, rank]`
    down: Tensor<2>,
    /// `[rank, output]`
    up: Tensor<2>,
    scale: f64,
}

impl Linear {
    /// Loads `weight` `[output, input]` and `bias` `[output]`.
    ///
    /// # Errors
    /// What [`Weights::tensor`] says of either.
    pub fn load(weights: &Weights<'_>, input: usize, output: usize) -> Result<Self, LoadError> {
        let mut layer = Self::load_without_bias(weights, input, output)?;
        layer.bias = Some(weights.tensor("bias", [output])?);
        Ok(layer)
    }

    /// Loads `weight` `[output, input]` alone.
    ///
    /// # Errors
    /// What [`Weights::tensor`] says of it.
    pub fn load_without_bias(
        weights: &Weights<'_>,
        input: usize,
        output: usize,
    ) -> Result<Self, LoadError> {
        let adapter = |LowRank { down, up, scale }: LowRank| {
            let rank = down.dims()[0];
            Adapter {
                down: down.reshape([rank, input]).transpose(),
                up: up.reshape([output, rank]).transpose(),
                scale,
            }
        };
        Ok(Self {
            weight: weights.tensor("weight", [output, input])?.transpose(),
            bias: None,
            adapters: weights.adapters().into_iter().map(adapter).collect(),
            sums: matmul_sums(weights.device(), weights.dtype()),
        })
    }

    /// `[…, input]` to `[…, output]`.
    #[must_use]
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let bias = self.bias.clone();
        if self.adapters.is_empty() {
            return self.product(x, &self.weight, bias);
        }
        let y = self.product(x.clone(), &self.weight, bias);
        self.adapters.iter().fold(y, |y, adapter| {
            let low = self.product(x.clone(), &adapter.down, None);
            y + self
                .product(low, &adapter.up, None)
                .mul_scalar(adapter.scale)
        })
    }

    /// `x W + b`, whose sums are in f32 whatever type it is given.
    fn product<const D: usize>(
        &self,
        x: Tensor<D>,
        weight: &Tensor<2>,
        bias: Option<Tensor<1>>,
    ) -> Tensor<D> {
        let dtype = x.dtype();
        let (x, weight) = (x.cast(self.sums), weight.clone().cast(self.sums));
        let bias = bias.map(|bias| bias.cast(self.sums));
        linear(x, weight, bias).cast(dtype)
    }
}
