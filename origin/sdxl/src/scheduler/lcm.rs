//! `LCMScheduler` (Luo et al. 2023): each step jumps to the clean latents, and back to less noise.

use super::level::Level;
use super::schedule::Schedule;
use super::step::{Combination, Step};

/// Standard deviation of the data, as the models were trained with it.
const SIGMA_DATA: f64 = 0.5;

pub(super) fn steps(schedule: &Schedule, begin: usize) -> Vec<Step> {
    let (config, training) = (&schedule.config, &schedule.training);
    (begin..schedule.timesteps.len())
        .map(|i| {
            let timestep = schedule.timesteps[i];
            let now = Level::of_alpha(training.alpha_at(timestep));
            let next = schedule.timesteps.get(i + 1);
            let next = next.map(|next| Level::of_alpha(training.alpha_at(*next)));
            // The boundary condition: at timestep 0 the answer is the latents themselves.
            let scaled = timestep * config.timestep_scaling;
            let skip = SIGMA_DATA.powi(2) / (scaled.powi(2) + SIGMA_DATA.powi(2));
            let out = scaled / scaled.hypot(SIGMA_DATA);
            let signal = next.map_or(1.0, |next| next.alpha);
            let update = Combination {
                sample: signal * skip,
                memo: signal * out,
                noise: next.map(|next| next.sigma),
                ..Combination::default()
            };
            schedule.preserving(i, now, config.bound(), update)
        })
        .collect()
}
