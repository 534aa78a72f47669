//! `HeunDiscreteScheduler`.

use super::schedule::Schedule;
use super::step::{Bound, Combination, Remembers, Step, Update};

/// A step as Euler's, then once more from where it began, along the mean of the derivatives at
/// both ends. The last step, to no noise, is Euler's alone.
pub(super) fn steps(schedule: &Schedule, begin: usize) -> Vec<Step> {
    let config = &schedule.config;
    let bound = if config.clip_sample {
        Bound::Clip(config.clip_sample_range)
    } else {
        Bound::Free
    };
    (begin..schedule.timesteps.len())
        .map(|i| {
            let is_first = i.is_multiple_of(2);
            let (from, to) = (schedule.sigmas[i / 2], schedule.sigmas[i / 2 + 1]);
            let sigma = if is_first { from } else { to };
            let dt = to - from;
            // The derivative, (latents − x₀) / σ.
            let remembers = Remembers {
                sample: 1.0 / sigma,
                output: 0.0,
                x0: -1.0 / sigma,
            };
            let update = if is_first {
                Combination {
                    remembers,
                    keeps_anchor: true,
                    sample: 1.0,
                    memo: dt,
                    ..Combination::default()
                }
            } else {
                Combination {
                    remembers,
                    anchor: 1.0,
                    memo: dt / 2.0,
                    past: [dt / 2.0, 0.0, 0.0],
                    ..Combination::default()
                }
            };
            Step {
                bound,
                ..schedule.beside(i, sigma, Update::Combination(update))
            }
        })
        .collect()
}
