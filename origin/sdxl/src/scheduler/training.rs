//! The noise that a model was trained with.
//!
//! Worked out in f32, step by step as torch does it: where there is little noise, 1 − ᾱ has lost
//! half its digits, and what diffusers made of the rest is what a checkpoint is run with. The
//! difference to exact levels is up to 4 parts in 100,000, and can be seen in a run that begins
//! with a picture.

use super::config::{BetaSchedule, SchedulerConfig};

/// ᾱ and σ of each of the training's timesteps, from the cleanest to the noisiest.
#[derive(Clone, Debug)]
pub(super) struct Training {
    /// Share of the signal's variance, falling.
    pub alphas_cumprod: Vec<f64>,
    /// The noise's standard deviation beside a signal of unit scale, √((1 − ᾱ)/ᾱ), rising.
    pub sigmas: Vec<f64>,
    log_sigmas: Vec<f64>,
}

/// A schedule's last ᾱ with zero terminal SNR, for solvers that work with σ: diffusers takes
/// 2⁻²⁴, for σ to stay finite.
pub(super) const LEAST_ALPHA: f32 = 1.0 / (1 << 24) as f32;

impl Training {
    /// `last_alpha` is what zero terminal SNR leaves of the last ᾱ.
    pub fn new(config: &SchedulerConfig, last_alpha: f32) -> Self {
        let mut alphas = cumprod(betas(config).into_iter().map(|beta| 1.0 - beta));
        if config.rescale_betas_zero_snr {
            alphas = rescale_zero_terminal_snr(&alphas);
            if let Some(alpha) = alphas.last_mut() {
                *alpha = last_alpha;
            }
        }
        let sigma = |alpha: &f32| ((1.0 - alpha) / alpha).sqrt();
        let sigmas: Vec<f64> = alphas.iter().map(|alpha| f64::from(sigma(alpha))).collect();
        let log = |sigma: &f64| f64::from(sigma.ln() as f32);
        Self {
            log_sigmas: sigmas.iter().map(log).collect(),
            alphas_cumprod: alphas.into_iter().map(f64::from).collect(),
            sigmas,
        }
    }

    /// ᾱ at a whole timestep.
    pub fn alpha_at(&self, timestep: f64) -> f64 {
        let last = self.alphas_cumprod.len() - 1;
        self.alphas_cumprod[(timestep.max(0.0) as usize).min(last)]
    }

    /// σ at a timestep that may lie between two of the training's.
    pub fn sigma_at(&self, timestep: f64) -> f64 {
        let last = self.sigmas.len() - 1;
        let low = (timestep.max(0.0).floor() as usize).min(last);
        let high = (low + 1).min(last);
        let share = (timestep - low as f64).clamp(0.0, 1.0);
        self.sigmas[low] + share * (self.sigmas[high] - self.sigmas[low])
    }

    /// The timestep whose σ that is, between two of the training's by its logarithm.
    pub fn timestep_at(&self, sigma: f64) -> f64 {
        let logs = &self.log_sigmas;
        let log = sigma.max(1e-10).ln();
        let above = logs.partition_point(|level| *level <= log);
        let low = above.saturating_sub(1).min(logs.len() - 2);
        let share = (log - logs[low]) / (logs[low + 1] - logs[low]);
        low as f64 + share.clamp(0.0, 1.0)
    }
}

fn betas(config: &SchedulerConfig) -> Vec<f32> {
    if let Some(betas) = &config.trained_betas {
        return betas.iter().map(|beta| *beta as f32).collect();
    }
    let n = config.num_train_timesteps;
    let (start, end) = (config.beta_start, config.beta_end);
    match config.beta_schedule {
        BetaSchedule::Linear => linspace(start as f32, end as f32, n),
        BetaSchedule::ScaledLinear => linspace(start.sqrt() as f32, end.sqrt() as f32, n)
            .into_iter()
            .map(|root| root * root)
            .collect(),
        BetaSchedule::SquaredcosCapV2 => {
            let left = |t: f64| {
                ((t + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2)
                    .cos()
                    .powi(2)
            };
            let at = |i: usize| left(i as f64 / n as f64);
            let beta = |i| (1.0 - at(i + 1) / at(i)).min(0.999) as f32;
            (0..n).map(beta).collect()
        }
    }
}

/// `torch.linspace`, which goes from both ends to the middle.
fn linspace(start: f32, end: f32, count: usize) -> Vec<f32> {
    let step = (end - start) / (count - 1) as f32;
    (0..count)
        .map(|i| {
            if i < count / 2 {
                start + step * i as f32
            } else {
                end - step * (count - 1 - i) as f32
            }
        })
        .collect()
}

/// `torch.cumprod`, which keeps more digits of the product than it gives away.
fn cumprod(factors: impl Iterator<Item = f32>) -> Vec<f32> {
    let mut product = 1.0_f64;
    factors
        .map(|factor| {
            product *= f64::from(factor);
            product as f32
        })
        .collect()
}

/// Shifts and stretches √ᾱ so that the last one is zero (Lin et al. 2023, algorithm 1).
fn rescale_zero_terminal_snr(alphas: &[f32]) -> Vec<f32> {
    let roots: Vec<f32> = alphas.iter().map(|alpha| alpha.sqrt()).collect();
    let (Some(&first), Some(&last)) = (roots.first(), roots.last()) else {
        return Vec::new();
    };
    let stretch = first / (first - last);
    let rescaled: Vec<f32> = roots
        .iter()
        .map(|root| ((root - last) * stretch).powi(2))
        .collect();
    // By way of the variances, as diffusers keeps them.
    let ratios = rescaled.windows(2).map(|pair| pair[1] / pair[0]);
    let alphas = rescaled.first().copied().into_iter().chain(ratios);
    cumprod(alphas.map(|alpha| 1.0 - (1.0 - alpha)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sdxl() -> SchedulerConfig {
        SchedulerConfig {
            beta_start: 0.00085,
            beta_end: 0.012,
            beta_schedule: BetaSchedule::ScaledLinear,
            ..SchedulerConfig::default()
        }
    }

    #[test]
    fn sdxl_has_its_well_known_noise_levels() {
        let training = Training::new(&sdxl(), LEAST_ALPHA);
        assert_eq!(training.sigmas.len(), 1000);
        assert!((training.sigmas[0] - 0.0292).abs() < 1e-4);
        assert!((training.sigmas[999] - 14.6146).abs() < 1e-4);
    }

    #[test]
    fn zero_terminal_snr_leaves_no_signal() {
        let config = SchedulerConfig {
            rescale_betas_zero_snr: true,
            ..sdxl()
        };
        let training = Training::new(&config, LEAST_ALPHA);
        assert!((training.sigmas[999] - 4096.0).abs() < 1e-3);
        assert!(training.sigmas.windows(2).all(|pair| pair[0] < pair[1]));
        let whole = Training::new(&config, 0.0);
        assert!(whole.alphas_cumprod[999].abs() < f64::EPSILON);
    }

    #[test]
    fn timesteps_and_sigmas_are_each_others_inverse() {
        let training = Training::new(&sdxl(), LEAST_ALPHA);
        for timestep in [0.0, 1.0, 500.0, 998.0, 999.0] {
            let back = training.timestep_at(training.sigma_at(timestep));
            assert!((back - timestep).abs() < 1e-3, "{timestep} {back}");
        }
    }
}
