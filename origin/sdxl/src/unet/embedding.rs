//! Timesteps as vectors: sinusoids, then a small MLP.

use burn::tensor::{DType, Device, Tensor, TensorData, activation};

use crate::LoadError;
use crate::nn::Linear;
use crate::weights::Weights;

/// Sinusoidal embedding (`get_timestep_embedding` of diffusers).
#[derive(Clone, Copy, Debug)]
pub(super) struct Sinusoids {
    /// Whether the cosines come before the sines.
    pub cosines_first: bool,
    /// Shift of the frequencies.
    pub freq_shift: f32,
}

/// Of the guidance scale (`get_guidance_scale_embedding` of diffusers' pipelines).
pub(super) const GUIDANCE: Sinusoids = Sinusoids {
    cosines_first: false,
    freq_shift: 1.0,
};

impl Sinusoids {
    /// The embedding of each value: `[values, width]` in f32.
    pub fn embed(self, values: &[f32], width: usize, device: &Device) -> Tensor<2> {
        let half = width / 2;
        let mut data = Vec::with_capacity(values.len() * width);
        for value in values {
            // In f32 throughout, as torch does it: the reference's rounding is part of its answer.
            let angle = |i: usize| {
                let exponent = -(10_000_f32.ln()) * i as f32 / (half as f32 - self.freq_shift);
                value * exponent.exp()
            };
            let sines = (0..half).map(|i| angle(i).sin());
            let cosines = (0..half).map(|i| angle(i).cos());
            if self.cosines_first {
                data.extend(cosines.chain(sines));
            } else {
                data.extend(sines.chain(cosines));
            }
            data.resize(data.len() + width % 2, 0.0);
        }
        let data = TensorData::new(data, [values.len(), width]);
        Tensor::from_data(data, (device, DType::F32))
    }
}

/// `TimestepEmbedding`: linear, `SiLU`, linear.
#[derive(Debug)]
pub(super) struct TimestepEmbedding {
    /// Of a condition that is added before the first layer.
    cond_proj: Option<Linear>,
    linear_1: Linear,
    linear_2: Linear,
}

impl TimestepEmbedding {
    pub(super) fn load(
        weights: &Weights<'_>,
        input: usize,
        output: usize,
        condition: Option<usize>,
    ) -> Result<Self, LoadError> {
        Ok(Self {
            cond_proj: condition
                .map(|width| Linear::load_without_bias(&weights.child("cond_proj"), width, input))
                .transpose()?,
            linear_1: Linear::load(&weights.child("linear_1"), input, output)?,
            linear_2: Linear::load(&weights.child("linear_2"), output, output)?,
        })
    }

    /// `[batch, input]`, and perhaps a condition `[batch, condition]`, to `[batch, output]`.
    pub(super) fn forward(&self, mut x: Tensor<2>, condition: Option<Tensor<2>>) -> Tensor<2> {
        if let (Some(projection), Some(condition)) = (&self.cond_proj, condition) {
            x = x + projection.forward(condition);
        }
        self.linear_2
            .forward(activation::silu(self.linear_1.forward(x)))
    }
}
