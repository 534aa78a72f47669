//! Timesteps as vectors: sinusoids, then a small MLP.

use burn::tensor::{Device, Tensor, TensorData, activation};

use crate::LoadError;
use crate::nn::Linear;
use crate::weights::Weights;

/// Sinusoidal embedding (`get_timestep_embedding` of diffusers) of each value: `[values, width]`.
pub(super) fn sinusoids(
    values: &[f32],
    width: usize,
    flip_sin_to_cos: bool,
    freq_shift: f32,
    device: &Device,
) -> Tensor<2> {
    let half = width / 2;
    let mut data = Vec::with_capacity(values.len() * width);
    for value in values {
        // In f32 throughout, as torch does it: the reference's rounding is part of its answer.
        let angle = |i: usize| {
            let exponent = -(10_000_f32.ln()) * i as f32 / (half as f32 - freq_shift);
            value * exponent.exp()
        };
        let sines = (0..half).map(|i| angle(i).sin());
        let cosines = (0..half).map(|i| angle(i).cos());
        if flip_sin_to_cos {
            data.extend(cosines.chain(sines));
        } else {
            data.extend(sines.chain(cosines));
        }
        data.resize(data.len() + width % 2, 0.0);
    }
    Tensor::from_data(TensorData::new(data, [values.len(), width]), device)
}

/// `TimestepEmbedding`: linear, `SiLU`, linear.
#[derive(Debug)]
pub(super) struct TimestepEmbedding {
    linear_1: Linear,
    linear_2: Linear,
}

impl TimestepEmbedding {
    pub(super) fn load(
        weights: &Weights<'_>,
        input: usize,
        output: usize,
    ) -> Result<Self, LoadError> {
        Ok(Self {
            linear_1: Linear::load(&weights.child("linear_1"), input, output)?,
            linear_2: Linear::load(&weights.child("linear_2"), output, output)?,
        })
    }

    /// `[batch, input]` to `[batch, output]`.
    pub(super) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.linear_2
            .forward(activation::silu(self.linear_1.forward(x)))
    }
}
