//! `UniPCMultistepScheduler` (Zhao et al. 2023): a multistep predictor, and a corrector that
//! looks at the UNet's answer to what was predicted.

use super::config::{SchedulerConfig, SolverType};
use super::level::Level;
use super::schedule::Schedule;
use super::step::{Combination, Correction, MEMORY, Remembers, Step};
use crate::elimination::solve;

pub(super) fn steps(schedule: &Schedule, begin: usize) -> Vec<Step> {
    let config = &schedule.config;
    let count = schedule.timesteps.len();
    let levels: Vec<Level> = schedule
        .sigmas
        .iter()
        .map(|s| Level::of_sigma(*s))
        .collect();
    let order = |i: usize| {
        let most = if config.lower_order_final {
            config.solver_order.min(count - i)
        } else {
            config.solver_order
        };
        most.min(i - begin + 1)
    };
    (begin..count)
        .map(|i| {
            let now = levels[i];
            let correction = (i > begin && !config.disable_corrector.contains(&(i - 1)))
                .then(|| correct(config, &levels[..=i], order(i - 1)));
            let predicted = Solved::new(config, &levels[..=i + 1], order(i), predictor);
            let update = Combination {
                remembers: remembers(config, now),
                correction,
                keeps_anchor: true,
                sample: predicted.sample,
                memo: predicted.from,
                past: predicted.past,
                ..Combination::default()
            };
            schedule.preserving(i, now, config.threshold(), update)
        })
        .collect()
}

fn remembers(config: &SchedulerConfig, now: Level) -> Remembers {
    if config.predict_x0 {
        return Remembers::default();
    }
    let epsilon = now.epsilon(config.prediction_type);
    Remembers {
        sample: epsilon.sample,
        output: epsilon.output,
        x0: 0.0,
    }
}

/// The step that led here, once more. `levels` ends with the present one.
fn correct(config: &SchedulerConfig, levels: &[Level], order: usize) -> Correction {
    let solved = Solved::new(config, levels, order, corrector);
    let mut past = [solved.from, 0.0, 0.0];
    past[1..].copy_from_slice(&solved.past[..MEMORY - 1]);
    Correction {
        anchor: solved.sample,
        memo: solved.at_end,
        past,
    }
}

/// Factors of a step from the last but one of some levels to the last.
struct Solved {
    /// Of the latents.
    sample: f64,
    /// Of the solver's quantity where the step begins.
    from: f64,
    /// Of the same where it ends; 0 for a predictor.
    at_end: f64,
    /// Of the same before it begins.
    past: [f64; MEMORY],
}

impl Solved {
    fn new(
        config: &SchedulerConfig,
        levels: &[Level],
        order: usize,
        weights: impl Fn(&[f64], &[f64]) -> Vec<f64>,
    ) -> Self {
        let end = levels.len() - 1;
        let (from, to) = (levels[end - 1], levels[end]);
        let h = to.lambda - from.lambda;
        let hh = if config.predict_x0 { -h } else { h };
        let phi = hh.exp_m1();
        let b_h = if config.solver_type == SolverType::Bh1 {
            hh
        } else {
            phi
        };
        // Places of the quantities, in steps: those before, then the step's end.
        let mut places: Vec<f64> = (1..order)
            .map(|back| (levels[end - 1 - back].lambda - from.lambda) / h)
            .collect();
        places.push(1.0);
        let weights = weights(&places, &targets(hh, b_h, order));
        let (scale, sample) = if config.predict_x0 {
            (to.alpha, to.sigma / from.sigma)
        } else {
            (to.sigma, to.alpha / from.alpha)
        };
        let mut solved = Self {
            sample,
            from: -scale * phi,
            at_end: 0.0,
            past: [0.0; MEMORY],
        };
        for (i, (weight, place)) in weights.iter().zip(&places).enumerate() {
            let factor = -scale * b_h * weight / place;
            solved.from -= factor;
            if i + 1 == places.len() {
                solved.at_end = factor;
            } else {
                solved.past[i] = factor;
            }
        }
        solved
    }
}

/// What the weights must sum up to, times powers of their places: the φ-functions.
fn targets(hh: f64, b_h: f64, order: usize) -> Vec<f64> {
    let mut factorial = 1.0;
    let mut phi = hh.exp_m1() / hh - 1.0;
    (1..=order)
        .map(|i| {
            let target = phi * factorial / b_h;
            factorial *= (i + 1) as f64;
            phi = phi / hh - 1.0 / factorial;
            target
        })
        .collect()
}

/// Weights of the places before the step; the paper simplifies those of order two.
fn predictor(places: &[f64], targets: &[f64]) -> Vec<f64> {
    let before = &places[..places.len() - 1];
    match before {
        [] => Vec::new(),
        [_] => vec![0.5],
        _ => weigh(before, &targets[..before.len()]),
    }
}

/// Weights of all places; the paper simplifies that of order one.
fn corrector(places: &[f64], targets: &[f64]) -> Vec<f64> {
    match places {
        [_] => vec![0.5],
        _ => weigh(places, targets),
    }
}

/// Weights w with Σ wⱼ placeⱼⁱ = targetᵢ: three equations at most.
fn weigh(places: &[f64], targets: &[f64]) -> Vec<f64> {
    let equation = |(power, target): (usize, &f64)| {
        let factors = places.iter().map(|place| place.powi(power as i32));
        factors.chain([*target]).collect()
    };
    let equations = targets.iter().enumerate().map(equation).collect();
    solve(equations).into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::weigh;

    #[test]
    fn weights_meet_their_targets() {
        let (places, targets) = ([-1.3, -0.6, 1.0], [0.4, -0.2, 0.7]);
        let weights = weigh(&places, &targets);
        for (power, target) in targets.iter().enumerate() {
            let sum: f64 = weights
                .iter()
                .zip(places)
                .map(|(weight, place): (&f64, f64)| weight * place.powi(power as i32))
                .sum();
            assert!((sum - target).abs() < 1e-12, "{sum} {target}");
        }
    }
}
