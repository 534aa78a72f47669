//! `DDPMScheduler` (Ho et al. 2020, equations 6 and 7).

use super::config::VarianceType;
use super::level::Level;
use super::schedule::Schedule;
use super::step::{Combination, Step};

pub(super) fn steps(schedule: &Schedule, begin: usize) -> Vec<Step> {
    let (config, training) = (&schedule.config, &schedule.training);
    (begin..schedule.timesteps.len())
        .map(|i| {
            let timestep = schedule.timesteps[i];
            let alpha = training.alpha_at(timestep);
            let next = schedule.timesteps.get(i + 1);
            let next_alpha = next.map_or(1.0, |next| training.alpha_at(*next));
            let step_alpha = alpha / next_alpha;
            let step_beta = 1.0 - step_alpha;
            let (left, next_left) = (1.0 - alpha, 1.0 - next_alpha);
            let variance = match config.variance_type {
                VarianceType::FixedSmall | VarianceType::FixedSmallLog => {
                    (next_left / left * step_beta).max(1e-20)
                }
                VarianceType::FixedLarge => step_beta,
            };
            let update = Combination {
                sample: step_alpha.sqrt() * next_left / left,
                memo: next_alpha.sqrt() * step_beta / left,
                noise: (timestep > 0.0).then_some(variance.sqrt()),
                ..Combination::default()
            };
            let now = Level::of_alpha(alpha);
            schedule.preserving(i, now, config.bound(), update)
        })
        .collect()
}
