//! A step, with its factors worked out.
//!
//! Every solver here makes the next latents from the present ones, from the UNet's answer and
//! what it says of the clean latents (x₀), from what it remembers of the steps before, and from
//! fresh noise, each times a factor that depends on the noise levels alone.

use std::collections::VecDeque;

use burn::tensor::Tensor;

/// A whole run, worked out.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In the order they are taken.
    pub steps: Vec<Step>,
    /// Starting latents are unit noise times this.
    pub init_noise_sigma: f64,
    /// Evaluations of the UNet a step that was asked for, but for the last.
    pub order: usize,
}

/// One evaluation of the UNet, and what is made of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What the UNet is told.
    pub timestep: f64,
    /// The noise level it starts from.
    pub sigma: f64,
    /// The UNet sees the latents divided by this.
    pub input_divisor: f64,
    /// How x₀ is read from the UNet's answer.
    pub x0: Prediction,
    /// What x₀ is held to.
    pub bound: Bound,
    /// How the next latents are made.
    pub update: Update,
    /// Fresh noise is the step before's times the first and new noise times the second of these,
    /// where the two belong to one path.
    pub noise_mix: Option<(f64, f64)>,
    /// Factors of a clean picture and of noise that together make latents of this level.
    pub noised: (f64, f64),
}

/// `sample` · latents + `output` · the UNet's answer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Prediction {
    /// Factor of the latents.
    pub sample: f64,
    /// Factor of the UNet's answer.
    pub output: f64,
}

/// What x₀ is held to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Bound {
    /// Nothing.
    #[default]
    Free,
    /// Cut off at ± this.
    Clip(f64),
    /// Cut off at a quantile of its own, and divided by it (Saharia et al. 2022, section 2.3).
    Threshold {
        /// Which quantile of the absolute values.
        ratio: f64,
        /// The most that it may be; the least is 1.
        max: f64,
    },
}

/// How the next latents are made.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// latents + (latents − x₀) / σ · `dt` + `noise` · fresh noise. It could be written as a
    /// combination; near σ = 4096 (zero terminal SNR) f32 rounds that differently, and far enough
    /// from diffusers to show.
    Derivative {
        /// σ.
        sigma: f64,
        /// The next σ less this one.
        dt: f64,
        /// Factor of fresh noise; none is drawn where it is `None`.
        noise: Option<f64>,
    },
    /// A sum of products.
    Combination(Combination),
}

/// Steps back that a solver remembers.
pub const MEMORY: usize = 3;

/// The factors of a sum of products.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Combination {
    /// What of this step is remembered, and is its [`memo`](Self::memo).
    pub remembers: Remembers,
    /// Replaces the latents before anything else is made of them.
    pub correction: Option<Correction>,
    /// Whether the latents, corrected or not, are kept as the next steps' anchor.
    pub keeps_anchor: bool,
    /// Factor of the latents.
    pub sample: f64,
    /// Factor of the UNet's answer.
    pub output: f64,
    /// Factor of this step's memo.
    pub memo: f64,
    /// Factors of the memos one, two and three steps back.
    pub past: [f64; MEMORY],
    /// Factor of the kept latents.
    pub anchor: f64,
    /// Factor of fresh noise; none is drawn where it is `None`.
    pub noise: Option<f64>,
}

/// `sample` · latents + `output` · the UNet's answer + `x0` · x₀.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Remembers {
    /// Factor of the latents.
    pub sample: f64,
    /// Factor of the UNet's answer.
    pub output: f64,
    /// Factor of x₀.
    pub x0: f64,
}

impl Default for Remembers {
    /// x₀ itself.
    fn default() -> Self {
        Self {
            sample: 0.0,
            output: 0.0,
            x0: 1.0,
        }
    }
}

/// The latents once more, in the light of the UNet's answer to them (UniPC's corrector).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Correction {
    /// Factor of the kept latents.
    pub anchor: f64,
    /// Factor of this step's memo.
    pub memo: f64,
    /// Factors of the memos one, two and three steps back.
    pub past: [f64; MEMORY],
}

/// What a solver remembers between the steps of one run.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The latest first, at most [`MEMORY`].
    pub(crate) memos: VecDeque<Tensor<4>>,
    pub(crate) anchor: Option<Tensor<4>>,
}

impl Step {
    /// What the UNet sees of the latents.
    #[must_use]
    pub fn scale_model_input(&self, sample: Tensor<4>) -> Tensor<4> {
        // Divided as diffusers does it: with zero terminal SNR the last bit of this is amplified.
        sample.div_scalar(self.input_divisor)
    }

    /// Whether the step wants fresh noise.
    #[must_use]
    pub fn wants_noise(&self) -> bool {
        match &self.update {
            Update::Derivative { noise, .. } => noise.is_some(),
            Update::Combination(combination) => combination.noise.is_some(),
        }
    }

    /// The clean latents, as the UNet's answer has them.
    #[must_use]
    pub fn clean(&self, output: &Tensor<4>, sample: &Tensor<4>) -> Tensor<4> {
        let factors = [(self.x0.sample, sample), (self.x0.output, output)];
        self.bound.hold(sum(factors, sample))
    }

    /// The next latents. `noise` is unit noise, wanted where [`Step::wants_noise`] says so.
    /// All `[batch, channels, height, width]`.
    #[must_use]
    pub fn apply(
        &self,
        output: &Tensor<4>,
        sample: Tensor<4>,
        noise: Option<Tensor<4>>,
        history: &mut History,
    ) -> Tensor<4> {
        let x0 = self.clean(output, &sample);
        let (next, factor) = match &self.update {
            Update::Derivative { sigma, dt, noise } => {
                let derivative = (sample.clone() - x0).div_scalar(*sigma);
                (sample + derivative.mul_scalar(*dt), *noise)
            }
            Update::Combination(combination) => (
                combination.apply(output, sample, &x0, history),
                combination.noise,
            ),
        };
        match (factor, noise) {
            (Some(factor), Some(noise)) => next + noise.mul_scalar(factor),
            _ => next,
        }
    }

    /// A clean picture brought to this step's noise level, as image to image starts.
    #[must_use]
    pub fn add_noise(&self, clean: Tensor<4>, noise: Tensor<4>) -> Tensor<4> {
        clean.mul_scalar(self.noised.0) + noise.mul_scalar(self.noised.1)
    }
}

impl Combination {
    fn apply(
        &self,
        output: &Tensor<4>,
        mut sample: Tensor<4>,
        x0: &Tensor<4>,
        history: &mut History,
    ) -> Tensor<4> {
        let Remembers {
            sample: by_sample,
            output: by_output,
            x0: by_x0,
        } = self.remembers;
        let memo = sum(
            [(by_sample, &sample), (by_output, output), (by_x0, x0)],
            &sample,
        );
        if let (Some(correction), Some(anchor)) = (&self.correction, &history.anchor) {
            let now = [(correction.anchor, anchor), (correction.memo, &memo)];
            sample = sum(
                now.into_iter().chain(history.past(&correction.past)),
                &sample,
            );
        }
        let mut now = vec![
            (self.sample, &sample),
            (self.output, output),
            (self.memo, &memo),
        ];
        now.extend(history.anchor.as_ref().map(|anchor| (self.anchor, anchor)));
        now.extend(history.past(&self.past));
        let next = sum(now, &sample);
        history.memos.push_front(memo);
        history.memos.truncate(MEMORY);
        if self.keeps_anchor {
            history.anchor = Some(sample);
        }
        next
    }
}

impl History {
    fn past(&self, factors: &[f64; MEMORY]) -> impl Iterator<Item = (f64, &Tensor<4>)> {
        factors.iter().copied().zip(&self.memos)
    }
}

/// The sum of the products; zeros in the shape of `like` where there is none.
fn sum<'a>(
    products: impl IntoIterator<Item = (f64, &'a Tensor<4>)>,
    like: &Tensor<4>,
) -> Tensor<4> {
    products
        .into_iter()
        .filter(|(factor, _)| *factor != 0.0)
        .map(|(factor, x)| {
            if (factor - 1.0).abs() < f64::EPSILON {
                x.clone()
            } else {
                x.clone().mul_scalar(factor)
            }
        })
        .reduce(|a, b| a + b)
        .unwrap_or_else(|| like.zeros_like())
}

impl Bound {
    /// Each picture of `x` `[batch, channels, height, width]` by itself.
    fn hold(self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Free => x,
            Self::Clip(range) => x.clamp(-range, range),
            Self::Threshold { ratio, max } => threshold(x, ratio, max),
        }
    }
}

fn threshold(x: Tensor<4>, ratio: f64, max: f64) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let count = channels * height * width;
    let sorted = x.clone().abs().reshape([batch, count]).sort(1);
    // Between the two values that are nearest to the quantile, as `torch.quantile` has it.
    let place = ratio * (count - 1) as f64;
    let (low, share) = (place.floor() as usize, place.fract());
    let low_values = sorted.clone().narrow(1, low, 1);
    let high_values = sorted.narrow(1, (low + 1).min(count - 1), 1);
    let quantile = low_values.mul_scalar(1.0 - share) + high_values.mul_scalar(share);
    let limit = quantile.clamp(1.0, max).reshape([batch, 1, 1, 1]);
    let limit = limit.expand([batch, channels, height, width]);
    x.min_pair(limit.clone()).max_pair(limit.clone().neg()) / limit
}
