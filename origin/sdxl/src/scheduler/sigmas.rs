//! Noise levels: of the training, and of the steps a run takes through them.
//!
//! σ is the noise's standard deviation beside a signal of unit scale, √((1 − ᾱ)/ᾱ).

use super::config::{BetaSchedule, FinalSigmas, SchedulerConfig, TimestepSpacing};

/// σ of each of the training's timesteps, rising.
pub(super) fn training_sigmas(config: &SchedulerConfig) -> Vec<f64> {
    alphas_cumprod(config)
        .into_iter()
        .map(|alpha| ((1.0 - alpha) / alpha).sqrt())
        .collect()
}

/// ᾱ of each of the training's timesteps.
fn alphas_cumprod(config: &SchedulerConfig) -> Vec<f64> {
    let n = config.num_train_timesteps;
    let (start, end) = (config.beta_start, config.beta_end);
    let betas = match config.beta_schedule {
        BetaSchedule::Linear => linspace(start, end, n),
        BetaSchedule::ScaledLinear => linspace(start.sqrt(), end.sqrt(), n)
            .into_iter()
            .map(|root| root * root)
            .collect(),
    };
    let mut product = 1.0;
    let mut alphas: Vec<f64> = betas
        .into_iter()
        .map(|beta| {
            product *= 1.0 - beta;
            product
        })
        .collect();
    if config.rescale_betas_zero_snr {
        rescale_zero_terminal_snr(&mut alphas);
    }
    alphas
}

/// Shifts and stretches √ᾱ so that the last one is zero (Lin et al. 2023, algorithm 1).
/// Like diffusers, the last ᾱ is then set to 2⁻²⁴, for σ to stay finite.
fn rescale_zero_terminal_snr(alphas: &mut [f64]) {
    let (Some(&first), Some(&last)) = (alphas.first(), alphas.last()) else {
        return;
    };
    let (first, last) = (first.sqrt(), last.sqrt());
    for alpha in alphas.iter_mut() {
        *alpha = ((alpha.sqrt() - last) * first / (first - last)).powi(2);
    }
    if let Some(alpha) = alphas.last_mut() {
        *alpha = 2_f64.powi(-24);
    }
}

/// The timesteps a run visits, falling. `intervals` is how many parts diffusers cuts the
/// training into for the leading and even spacings: as many as steps, or one more.
pub(super) fn timesteps(config: &SchedulerConfig, steps: usize, intervals: usize) -> Vec<f64> {
    let n = config.num_train_timesteps;
    match config.timestep_spacing {
        TimestepSpacing::Linspace => {
            let mut all = linspace(0.0, (n - 1) as f64, intervals);
            all.reverse();
            all.truncate(steps);
            all
        }
        TimestepSpacing::Leading => {
            let ratio = n / intervals;
            let at = |i: usize| (i * ratio + config.steps_offset) as f64;
            (0..intervals).rev().map(at).take(steps).collect()
        }
        TimestepSpacing::Trailing => {
            let ratio = n as f64 / steps as f64;
            (0..steps)
                .map(|i| (n as f64 - i as f64 * ratio).round_ties_even() - 1.0)
                .collect()
        }
    }
}

/// σ at a timestep that may lie between two of the training's.
pub(super) fn sigma_at(training: &[f64], timestep: f64) -> f64 {
    let last = training.len() - 1;
    let low = (timestep.max(0.0).floor() as usize).min(last);
    let high = (low + 1).min(last);
    let share = (timestep - low as f64).clamp(0.0, 1.0);
    training[low] + share * (training[high] - training[low])
}

/// The timestep whose σ that is, between two of the training's by its logarithm.
pub(super) fn timestep_at(training: &[f64], sigma: f64) -> f64 {
    let log = sigma.max(1e-10).ln();
    let above = training.partition_point(|level| level.ln() <= log);
    let low = above.saturating_sub(1).min(training.len() - 2);
    let (from, to) = (training[low].ln(), training[low + 1].ln());
    let share = ((log - from) / (to - from)).clamp(0.0, 1.0);
    low as f64 + share
}

/// Levels from `max` down to `min`, evenly in σ^(1/7) (Karras et al. 2022, equation 5).
pub(super) fn karras(min: f64, max: f64, steps: usize) -> Vec<f64> {
    const RHO: f64 = 7.0;
    linspace(max.powf(1.0 / RHO), min.powf(1.0 / RHO), steps)
        .into_iter()
        .map(|root| root.powf(RHO))
        .collect()
}

/// The level after the last step.
pub(super) fn last_sigma(config: &SchedulerConfig, training: &[f64]) -> f64 {
    match config.final_sigmas_type {
        FinalSigmas::Zero => 0.0,
        FinalSigmas::SigmaMin => training[0],
    }
}

/// `count` numbers evenly from `start` to `end`, both included; `start` alone for one.
fn linspace(start: f64, end: f64, count: usize) -> Vec<f64> {
    let gaps = count.saturating_sub(1).max(1) as f64;
    (0..count)
        .map(|i| start + (end - start) * i as f64 / gaps)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sdxl() -> SchedulerConfig {
        SchedulerConfig {
            beta_start: 0.00085,
            beta_end: 0.012,
            beta_schedule: BetaSchedule::ScaledLinear,
            timestep_spacing: TimestepSpacing::Leading,
            steps_offset: 1,
            ..SchedulerConfig::default()
        }
    }

    #[test]
    fn sdxl_has_its_well_known_noise_levels() {
        let training = training_sigmas(&sdxl());
        assert_eq!(training.len(), 1000);
        assert!((training[0] - 0.0292).abs() < 1e-4);
        assert!((training[999] - 14.6146).abs() < 1e-4);
    }

    #[test]
    fn zero_terminal_snr_leaves_no_signal() {
        let config = SchedulerConfig {
            rescale_betas_zero_snr: true,
            ..sdxl()
        };
        let training = training_sigmas(&config);
        assert!((training[999] - 4096.0).abs() < 1e-3);
        assert!(training.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn spacings_visit_what_diffusers_visits() {
        let spaced = |timestep_spacing, steps, intervals| {
            let config = SchedulerConfig {
                timestep_spacing,
                ..sdxl()
            };
            timesteps(&config, steps, intervals)
        };
        let leading = spaced(TimestepSpacing::Leading, 4, 4);
        assert_eq!(leading, [751.0, 501.0, 251.0, 1.0]);
        let trailing = spaced(TimestepSpacing::Trailing, 4, 4);
        assert_eq!(trailing, [999.0, 749.0, 499.0, 249.0]);
        let linspace = spaced(TimestepSpacing::Linspace, 4, 4);
        assert_eq!(linspace, [999.0, 666.0, 333.0, 0.0]);
        assert_eq!(spaced(TimestepSpacing::Trailing, 1, 1), [999.0]);
    }

    #[test]
    fn timesteps_and_sigmas_are_each_others_inverse() {
        let training = training_sigmas(&sdxl());
        for timestep in [0.0, 1.0, 500.0, 998.0, 999.0] {
            let back = timestep_at(&training, sigma_at(&training, timestep));
            assert!((back - timestep).abs() < 1e-6, "{timestep} {back}");
        }
    }
}
