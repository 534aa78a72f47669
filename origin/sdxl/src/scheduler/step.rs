//! A step, with its factors worked out.
//!
//! Every solver here makes the next latents from the present ones, from what it takes the clean
//! picture to be now (x₀) and took it to be one step ago, and from fresh noise, each times a
//! factor that depends on the noise levels alone.

use burn::tensor::Tensor;

/// A whole run, worked out.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In the order they are taken.
    pub steps: Vec<Step>,
    /// Starting latents are unit noise times this.
    pub init_noise_sigma: f64,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// What the UNet is told.
    pub timestep: f64,
    /// The noise level it starts from.
    pub sigma: f64,
    /// The UNet sees the latents times this.
    pub input_scale: f64,
    /// How x₀ is read from the UNet's answer.
    pub prediction: Prediction,
    /// How the next latents are made.
    pub update: Update,
    /// Factors of a clean picture and of noise that together make latents of this level.
    pub noised: (f64, f64),
}

/// x₀ = `sample` · latents + `output` · the UNet's answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// Factor of the latents.
    pub sample: f64,
    /// Factor of the UNet's answer.
    pub output: f64,
}

/// How the next latents are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Update {
    /// latents + (latents − x₀) / σ · `dt`. It could be written as a combination; near σ = 4096
    /// (zero terminal SNR) f32 rounds that differently, and far enough from diffusers to show.
    Derivative {
        /// The next σ less this one.
        dt: f64,
    },
    /// A sum of products.
    Combination {
        /// Factor of the present latents.
        sample: f64,
        /// Factor of x₀.
        x0: f64,
        /// Factor of the x₀ of the step before.
        previous_x0: f64,
        /// Factor of fresh noise; none is drawn where it is `None`.
        noise: Option<f64>,
    },
}

/// What a solver remembers between the steps of one run.
#[derive(Clone, Debug, Default)]
pub struct History {
    previous_x0: Option<Tensor<4>>,
}

impl Step {
    /// What the UNet sees of the latents.
    #[must_use]
    pub fn scale_model_input(&self, sample: Tensor<4>) -> Tensor<4> {
        sample.mul_scalar(self.input_scale)
    }

    /// Whether the step wants fresh noise.
    #[must_use]
    pub fn wants_noise(&self) -> bool {
        matches!(self.update, Update::Combination { noise: Some(_), .. })
    }

    /// The next latents. `noise` is unit noise, wanted where [`Step::wants_noise`] says so.
    /// All `[batch, channels, height, width]`.
    #[must_use]
    pub fn apply(
        &self,
        output: Tensor<4>,
        sample: Tensor<4>,
        noise: Option<Tensor<4>>,
        history: &mut History,
    ) -> Tensor<4> {
        let x0 = sample.clone().mul_scalar(self.prediction.sample)
            + output.mul_scalar(self.prediction.output);
        match self.update {
            Update::Derivative { dt } => {
                let derivative = (sample.clone() - x0).div_scalar(self.sigma);
                sample + derivative.mul_scalar(dt)
            }
            Update::Combination {
                sample: by_sample,
                x0: by_x0,
                previous_x0: by_previous,
                noise: by_noise,
            } => {
                let mut next = sample.mul_scalar(by_sample) + x0.clone().mul_scalar(by_x0);
                if let Some(previous) = history.previous_x0.replace(x0)
                    && by_previous != 0.0
                {
                    next = next + previous.mul_scalar(by_previous);
                }
                if let (Some(factor), Some(noise)) = (by_noise, noise) {
                    next = next + noise.mul_scalar(factor);
                }
                next
            }
        }
    }

    /// A clean picture brought to this step's noise level, as image to image starts.
    #[must_use]
    pub fn add_noise(&self, clean: Tensor<4>, noise: Tensor<4>) -> Tensor<4> {
        clean.mul_scalar(self.noised.0) + noise.mul_scalar(self.noised.1)
    }
}
