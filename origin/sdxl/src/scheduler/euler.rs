//! `EulerDiscreteScheduler` and `EulerAncestralDiscreteScheduler`.

use super::level::x0_beside;
use super::schedule::Schedule;
use super::step::{Bound, Step, Update};

/// Latents are a clean picture plus σ times noise; a step follows the straight line towards x₀
/// until the next σ.
pub(super) fn steps(schedule: &Schedule, begin: usize) -> Vec<Step> {
    // Between levels as rounded to f32, which is how diffusers holds them.
    let dt = |sigma: f64, next: f64| f64::from(next as f32) - f64::from(sigma as f32);
    each(schedule, begin, |sigma, next| (dt(sigma, next), None))
}

/// The line is followed further, and noise added until the level is the next σ's: also after the
/// last step, times zero, as diffusers draws it.
pub(super) fn ancestral_steps(schedule: &Schedule, begin: usize) -> Vec<Step> {
    each(schedule, begin, |sigma, next| {
        let up = (next * next * (sigma * sigma - next * next) / (sigma * sigma)).sqrt();
        let down = (next * next - up * up).sqrt();
        (down - sigma, Some(up))
    })
}

fn each(
    schedule: &Schedule,
    begin: usize,
    update: impl Fn(f64, f64) -> (f64, Option<f64>),
) -> Vec<Step> {
    let pairs = schedule.sigmas.windows(2).zip(&schedule.timesteps);
    pairs
        .skip(begin)
        .map(|(pair, timestep)| {
            let (sigma, next) = (pair[0], pair[1]);
            let (dt, noise) = update(sigma, next);
            Step {
                timestep: *timestep,
                sigma,
                input_divisor: sigma.hypot(1.0),
                x0: x0_beside(schedule.config.prediction_type, sigma),
                bound: Bound::Free,
                update: Update::Derivative { sigma, dt, noise },
                noise_mix: None,
                noised: (1.0, sigma),
            }
        })
        .collect()
}
