//! `TCDScheduler` (Zheng et al. 2024): each step jumps along the trajectory, to a little below the
//! next level, and noise fills what is missing.

use super::level::Level;
use super::schedule::{Schedule, StepOptions};
use super::step::{Bound, Combination, Step};

/// Share of randomness in every step, unless told.
const ETA: f64 = 0.3;

pub(super) fn steps(schedule: &Schedule, begin: usize, options: StepOptions) -> Vec<Step> {
    let (config, training) = (&schedule.config, &schedule.training);
    let eta = options.eta.unwrap_or(ETA);
    (begin..schedule.timesteps.len())
        .map(|i| {
            let timestep = schedule.timesteps[i];
            let now = Level::of_alpha(training.alpha_at(timestep));
            let next = schedule.timesteps.get(i + 1).copied();
            let next_alpha = training.alpha_at(next.unwrap_or(0.0));
            let landing_alpha = training.alpha_at(((1.0 - eta) * next.unwrap_or(0.0)).floor());
            let landing = Level::of_alpha(landing_alpha);
            let adds_noise = eta > 0.0 && next.is_some();
            let ratio = if adds_noise {
                next_alpha / landing_alpha
            } else {
                1.0
            };
            let epsilon = now.epsilon(config.prediction_type);
            let kept = ratio.sqrt() * landing.sigma;
            let update = Combination {
                sample: kept * epsilon.sample,
                output: kept * epsilon.output,
                memo: ratio.sqrt() * landing.alpha,
                noise: adds_noise.then(|| (1.0 - ratio).sqrt()),
                ..Combination::default()
            };
            // It has the options of a bound, and does not look at them.
            schedule.preserving(i, now, Bound::Free, update)
        })
        .collect()
}
