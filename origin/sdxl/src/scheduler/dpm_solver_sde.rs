//! `DPMSolverSDEScheduler` (k-diffusion's `sample_dpmpp_sde`): half a step, then the whole one
//! with what the UNet says there, noise added to both.

use super::schedule::Schedule;
use super::step::{Combination, Step, Update};

pub(super) fn steps(schedule: &Schedule, begin: usize) -> Vec<Step> {
    (begin..schedule.timesteps.len())
        .map(|i| {
            let is_half = i.is_multiple_of(2);
            let (from, to) = (schedule.sigmas[i / 2], schedule.sigmas[i / 2 + 1]);
            let middle = (from * to).sqrt();
            let evaluated = if is_half { from } else { middle };
            let (update, noise_mix) = if to == 0.0 {
                let update = Update::Derivative {
                    sigma: from,
                    dt: -from,
                    noise: None,
                };
                (update, None)
            } else if is_half {
                (Update::Combination(half(from, middle)), None)
            } else {
                (
                    Update::Combination(whole(from, to)),
                    Some(mix(from, middle, to)),
                )
            };
            // The UNet looks at the middle; the step is one to its end.
            let level = if is_half { from } else { to };
            Step {
                sigma: level,
                noised: (1.0, level),
                noise_mix,
                ..schedule.beside(i, evaluated, update)
            }
        })
        .collect()
}

fn half(from: f64, to: f64) -> Combination {
    let (ratio, up) = ancestral(from, to);
    Combination {
        keeps_anchor: true,
        sample: ratio,
        memo: 1.0 - ratio,
        noise: Some(up),
        ..Combination::default()
    }
}

fn whole(from: f64, to: f64) -> Combination {
    let (ratio, up) = ancestral(from, to);
    Combination {
        anchor: ratio,
        memo: 1.0 - ratio,
        noise: Some(up),
        ..Combination::default()
    }
}

/// What is left of the latents when σ falls to below `to`, and the noise that raises it again.
fn ancestral(from: f64, to: f64) -> (f64, f64) {
    let up = (to * to * (from * from - to * to) / (from * from))
        .sqrt()
        .min(to);
    let down = (to * to - up * up).sqrt();
    (down / from, up)
}

/// Both noises of a step are of one Brownian path over σ: that of the whole step goes on where
/// that of its half ended.
fn mix(from: f64, middle: f64, to: f64) -> (f64, f64) {
    let share = |part: f64| (part / (from - to)).sqrt();
    (share(from - middle), share(middle - to))
}
