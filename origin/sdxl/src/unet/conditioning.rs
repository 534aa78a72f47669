//! What the denoising depends on besides latents and timestep.

use burn::tensor::Tensor;

/// Text and sizes.
#[derive(Clone, Debug)]
pub struct Conditioning {
    /// Text: `[batch, tokens, cross_attention]`
    pub context: Tensor<3>,
    /// Pooled text: `[batch, projection]`
    pub pooled: Tensor<2>,
    /// For each picture: original height and width, crop top and left, target height and
    /// width; for a refiner an aesthetic score instead of the target.
    pub time_ids: Vec<Vec<f32>>,
    /// What a distilled UNet is told instead of being guided.
    pub guidance_scale: Option<f64>,
}

impl Conditioning {
    /// Both one after the other, in one batch.
    #[must_use]
    pub fn concat(first: &Self, second: &Self) -> Self {
        Self {
            context: Tensor::cat(vec![first.context.clone(), second.context.clone()], 0),
            pooled: Tensor::cat(vec![first.pooled.clone(), second.pooled.clone()], 0),
            time_ids: [&first.time_ids[..], &second.time_ids[..]].concat(),
            guidance_scale: second.guidance_scale,
        }
    }
}

/// What is added inside of a UNet: how pictures steer it.
#[derive(Clone, Debug, Default)]
pub struct Additions {
    /// What `ControlNet`s say.
    pub residuals: Option<Residuals>,
    /// What T2I-Adapters say: `[1, channels, height, width]` for each level on the way down, and
    /// perhaps for the middle.
    pub features: Vec<Tensor<4>>,
}

/// What a `ControlNet` has to add to each skip connection and to the middle.
#[derive(Clone, Debug)]
pub struct Residuals {
    /// In the order the way down makes them, `[batch, channels, height, width]` each.
    pub down: Vec<Tensor<4>>,
    /// `[batch, channels, height, width]`
    pub mid: Tensor<4>,
}

impl Residuals {
    /// The sum of two.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let pairs = self.down.into_iter().zip(other.down);
        Self {
            down: pairs.map(|(a, b)| a + b).collect(),
            mid: self.mid + other.mid,
        }
    }

    /// Each of them changed.
    #[must_use]
    pub fn map(self, change: impl Fn(Tensor<4>) -> Tensor<4>) -> Self {
        Self {
            down: self.down.into_iter().map(&change).collect(),
            mid: change(self.mid),
        }
    }
}
