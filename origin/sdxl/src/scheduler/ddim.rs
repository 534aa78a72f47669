//! `DDIMScheduler` (Song et al. 2020, equation 12).

use super::level::Level;
use super::schedule::{Schedule, StepOptions};
use super::step::{Combination, Step};

pub(super) fn steps(schedule: &Schedule, begin: usize, options: StepOptions) -> Vec<Step> {
    let (config, training) = (&schedule.config, &schedule.training);
    let eta = options.eta.unwrap_or(0.0);
    let last_alpha = if config.set_alpha_to_one {
        1.0
    } else {
        training.alphas_cumprod[0]
    };
    // Not by the next step's timestep: by a step of the training's length over the steps'.
    let ratio = (config.num_train_timesteps / schedule.steps) as f64;
    (begin..schedule.timesteps.len())
        .map(|i| {
            let timestep = schedule.timesteps[i];
            let previous = timestep - ratio;
            let alpha = training.alpha_at(timestep);
            let previous_alpha = if previous < 0.0 {
                last_alpha
            } else {
                training.alpha_at(previous)
            };
            let (now, next) = (Level::of_alpha(alpha), Level::of_alpha(previous_alpha));
            let variance = (1.0 - previous_alpha) / (1.0 - alpha) * (1.0 - alpha / previous_alpha);
            let deviation = eta * variance.max(0.0).sqrt();
            // What of the predicted noise is kept.
            let kept = (1.0 - previous_alpha - deviation * deviation)
                .max(0.0)
                .sqrt();
            let epsilon = now.epsilon(config.prediction_type);
            let update = Combination {
                sample: kept * epsilon.sample,
                output: kept * epsilon.output,
                memo: next.alpha,
                noise: (eta > 0.0).then_some(deviation),
                ..Combination::default()
            };
            schedule.preserving(i, now, config.bound(), update)
        })
        .collect()
}
