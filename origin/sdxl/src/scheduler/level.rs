//! A place in the noise, seen as solvers see it.

use super::config::{PredictionType, SchedulerConfig};
use super::schedule::Schedule;
use super::step::{Bound, Combination, Prediction, Step, Update};

/// A noise level in the variance-preserving scale: latents are α · clean + σ · noise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    pub alpha: f64,
    pub sigma: f64,
    /// Half the logarithm of the signal-to-noise ratio; infinite where there is no noise.
    pub lambda: f64,
}

impl Level {
    /// By σ beside a signal of unit scale.
    pub fn of_sigma(sigma: f64) -> Self {
        let alpha = 1.0 / sigma.hypot(1.0);
        Self {
            alpha,
            sigma: sigma * alpha,
            lambda: -sigma.ln(),
        }
    }

    /// By ᾱ.
    pub fn of_alpha(alpha_cumprod: f64) -> Self {
        let (alpha, sigma) = (alpha_cumprod.sqrt(), (1.0 - alpha_cumprod).sqrt());
        Self {
            alpha,
            sigma,
            lambda: alpha.ln() - sigma.ln(),
        }
    }

    /// x₀ for latents in this scale.
    pub fn x0(self, kind: PredictionType) -> Prediction {
        let Self { alpha, sigma, .. } = self;
        let (sample, output) = match kind {
            PredictionType::Epsilon => (1.0 / alpha, -sigma / alpha),
            PredictionType::VPrediction => (alpha, -sigma),
            PredictionType::Sample => (0.0, 1.0),
        };
        Prediction { sample, output }
    }

    /// The noise for latents in this scale, whatever x₀ is held to.
    pub fn epsilon(self, kind: PredictionType) -> Prediction {
        let Self { alpha, sigma, .. } = self;
        let (sample, output) = match kind {
            PredictionType::Epsilon => (0.0, 1.0),
            PredictionType::VPrediction => (sigma, alpha),
            PredictionType::Sample => (1.0 / sigma, -alpha / sigma),
        };
        Prediction { sample, output }
    }
}

/// x₀ for latents that are a clean picture plus σ times noise.
fn x0_beside(kind: PredictionType, sigma: f64) -> Prediction {
    let (sample, output) = match kind {
        PredictionType::Epsilon => (1.0, -sigma),
        PredictionType::VPrediction => (1.0 / (sigma * sigma + 1.0), -sigma / sigma.hypot(1.0)),
        PredictionType::Sample => (0.0, 1.0),
    };
    Prediction { sample, output }
}

impl Schedule {
    /// Evaluation `i` of a solver whose latents are in the variance-preserving scale.
    pub(super) fn preserving(
        &self,
        i: usize,
        now: Level,
        bound: Bound,
        update: Combination,
    ) -> Step {
        let timestep = self.timesteps[i];
        let sigma = self.sigmas.get(i).copied();
        Step {
            timestep,
            sigma: sigma.unwrap_or_else(|| self.training.sigma_at(timestep)),
            input_divisor: 1.0,
            x0: now.x0(self.config.prediction_type),
            bound,
            update: Update::Combination(update),
            noise_mix: None,
            noised: (now.alpha, now.sigma),
        }
    }

    /// Evaluation `i` of a solver whose latents are a clean picture plus σ times noise.
    pub(super) fn beside(&self, i: usize, sigma: f64, update: Update) -> Step {
        Step {
            timestep: self.timesteps[i],
            sigma,
            input_divisor: sigma.hypot(1.0),
            x0: x0_beside(self.config.prediction_type, sigma),
            bound: Bound::Free,
            update,
            noise_mix: None,
            noised: (1.0, sigma),
        }
    }
}

impl SchedulerConfig {
    /// What x₀ is held to by schedulers that have both options.
    pub(super) fn bound(&self) -> Bound {
        if self.clip_sample && !self.thresholding {
            return Bound::Clip(self.clip_sample_range);
        }
        self.threshold()
    }

    /// What x₀ is held to by schedulers that only know thresholding.
    pub(super) fn threshold(&self) -> Bound {
        if self.thresholding {
            return Bound::Threshold {
                ratio: self.dynamic_thresholding_ratio,
                max: self.sample_max_value,
            };
        }
        Bound::Free
    }
}
