//! `torch.nn.Linear`.

use burn::tensor::Tensor;
use burn::tensor::module::linear;

use crate::LoadError;
use crate::weights::Weights;

/// `y = x Wᵀ + b`.
#[derive(Debug)]
pub struct Linear {
    /// `[input, output]`: a transposed view of what PyTorch stores.
    weight: Tensor<2>,
    /// `[output]`
    bias: Option<Tensor<1>>,
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
        Ok(Self {
            weight: weights.tensor("weight", [output, input])?.transpose(),
            bias: None,
        })
    }

    /// `[…, input]` to `[…, output]`.
    #[must_use]
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        linear(x, self.weight.clone(), self.bias.clone())
    }
}
