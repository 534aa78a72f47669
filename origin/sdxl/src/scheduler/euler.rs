//! `EulerDiscreteScheduler`.

use super::config::{PredictionType, SchedulerConfig, TimestepSpacing};
use super::sigmas::{karras, last_sigma, sigma_at, timestep_at, timesteps, training_sigmas};
use super::step::{Plan, Prediction, Step, Update};

/// Latents are a clean picture plus σ times noise; a step follows the straight line towards x₀
/// until the next σ.
pub(super) fn plan(config: &SchedulerConfig, steps: usize) -> Plan {
    let training = training_sigmas(config);
    let mut timesteps = timesteps(config, steps, steps);
    let mut sigmas: Vec<f64> = timesteps.iter().map(|t| sigma_at(&training, *t)).collect();
    if config.use_karras_sigmas {
        sigmas = karras(sigmas[steps - 1], sigmas[0], steps);
        timesteps = sigmas.iter().map(|s| timestep_at(&training, *s)).collect();
    }
    let largest = sigmas.iter().copied().fold(0.0, f64::max);
    sigmas.push(last_sigma(config, &training));
    let init_noise_sigma = match config.timestep_spacing {
        TimestepSpacing::Leading => largest.hypot(1.0),
        TimestepSpacing::Linspace | TimestepSpacing::Trailing => largest,
    };
    let steps = timesteps
        .into_iter()
        .zip(sigmas.windows(2))
        .map(|(timestep, pair)| step(config.prediction_type, timestep, pair[0], pair[1]))
        .collect();
    Plan {
        steps,
        init_noise_sigma,
    }
}

fn step(kind: PredictionType, timestep: f64, sigma: f64, next: f64) -> Step {
    Step {
        timestep,
        sigma,
        input_scale: 1.0 / sigma.hypot(1.0),
        prediction: prediction(kind, sigma),
        update: Update::Derivative {
            // Between levels as rounded to f32, which is how diffusers holds them.
            dt: f64::from(next as f32) - f64::from(sigma as f32),
        },
        noised: (1.0, sigma),
    }
}

/// x₀ for latents that are a clean picture plus σ times noise.
fn prediction(kind: PredictionType, sigma: f64) -> Prediction {
    let (sample, output) = match kind {
        PredictionType::Epsilon => (1.0, -sigma),
        PredictionType::VPrediction => (1.0 / (sigma * sigma + 1.0), -sigma / sigma.hypot(1.0)),
        PredictionType::Sample => (0.0, 1.0),
    };
    Prediction { sample, output }
}
