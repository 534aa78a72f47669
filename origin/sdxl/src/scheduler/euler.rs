//! `EulerDiscreteScheduler` and `EulerAncestralDiscreteScheduler`.

use super::schedule::Schedule;
use super::step::{Step, Update};

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
    (begin..schedule.timesteps.len())
        .map(|i| {
            let (sigma, next) = (schedule.sigmas[i], schedule.sigmas[i + 1]);
            let (dt, noise) = update(sigma, next);
            schedule.beside(i, sigma, Update::Derivative { sigma, dt, noise })
        })
        .collect()
}
