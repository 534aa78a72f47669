//! Small changes of latents, to see what they become.

use burn::tensor::{DType, Tensor, TensorData};

use crate::Precision;
use crate::noise::normal;

/// What is done to a run's latents to see how far it moves what is made of them.
#[derive(Clone, Copy)]
pub(super) enum Nudge {
    None,
    /// All of them are scaled by 1 and this.
    Scale(f64),
    /// Each is off by about this share of it, one way or the other, as a rounded number is; every
    /// number of the draw another way.
    Round(f64, u32),
}

impl Nudge {
    pub fn apply(self, latents: Tensor<4>) -> Tensor<4> {
        match self {
            Self::None => latents,
            Self::Scale(share) => latents.mul_scalar(1.0 + share),
            Self::Round(share, draw) => {
                let shape = latents.dims();
                let off = normal(0, draw, shape.iter().product());
                let off = TensorData::new(off, shape);
                let off = Tensor::<4>::from_data(off, (&latents.device(), DType::F32));
                latents.clone() + latents * off.mul_scalar(share)
            }
        }
    }
}

/// Two ways of being rounded to 16 bits: off by a quarter of the last bit in the mean.
pub(super) fn roundings(precision: Precision) -> [Nudge; 2] {
    let share = match precision {
        Precision::F32 => 0.0,
        Precision::F16 => 1.0 / 4096.0,
        Precision::Bf16 => 1.0 / 512.0,
    };
    [Nudge::Round(share, 0), Nudge::Round(share, 1)]
}
