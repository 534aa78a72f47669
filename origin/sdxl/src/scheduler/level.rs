//! A place in the noise, seen as solvers see it.

use super::config::{PredictionType, SchedulerConfig};
use super::step::{Bound, Prediction};

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
pub(super) fn x0_beside(kind: PredictionType, sigma: f64) -> Prediction {
    let (sample, output) = match kind {
        PredictionType::Epsilon => (1.0, -sigma),
        PredictionType::VPrediction => (1.0 / (sigma * sigma + 1.0), -sigma / sigma.hypot(1.0)),
        PredictionType::Sample => (0.0, 1.0),
    };
    Prediction { sample, output }
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
