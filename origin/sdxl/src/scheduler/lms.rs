//! `LMSDiscreteScheduler`: linear multistep over the derivatives of up to four steps.

use super::schedule::Schedule;
use super::step::{Combination, MEMORY, Remembers, Step, Update};

pub(super) fn steps(schedule: &Schedule, begin: usize) -> Vec<Step> {
    let sigmas = &schedule.sigmas;
    (begin..schedule.timesteps.len())
        .map(|i| {
            let sigma = sigmas[i];
            // By the step's place in the whole schedule, as diffusers counts, even where a run
            // begins later: what is then not remembered counts as nothing.
            let order = (i + 1).min(MEMORY + 1);
            let factor = |back: usize| {
                if back < order {
                    coefficient(sigmas, i, order, back)
                } else {
                    0.0
                }
            };
            let update = Combination {
                remembers: Remembers {
                    sample: 1.0 / sigma,
                    output: 0.0,
                    x0: -1.0 / sigma,
                },
                sample: 1.0,
                memo: factor(0),
                past: [factor(1), factor(2), factor(3)],
                ..Combination::default()
            };
            schedule.beside(i, sigma, Update::Combination(update))
        })
        .collect()
}

/// The integral from this σ to the next of the polynomial that is 1 at the σ `back` steps ago and
/// 0 at the others. Exact: Gauss and Legendre's rule with three points integrates up to order
/// five, and the polynomial is of order three.
fn coefficient(sigmas: &[f64], i: usize, order: usize, back: usize) -> f64 {
    let polynomial = |sigma: f64| -> f64 {
        (0..order)
            .filter(|other| *other != back)
            .map(|other| (sigma - sigmas[i - other]) / (sigmas[i - back] - sigmas[i - other]))
            .product()
    };
    let (middle, half) = (
        f64::midpoint(sigmas[i], sigmas[i + 1]),
        (sigmas[i + 1] - sigmas[i]) / 2.0,
    );
    let offset = half * 0.6_f64.sqrt();
    half / 9.0
        * (5.0 * polynomial(middle - offset)
            + 8.0 * polynomial(middle)
            + 5.0 * polynomial(middle + offset))
}
