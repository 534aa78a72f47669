//! `DPMSolverMultistepScheduler`: DPM-Solver and DPM-Solver++ of order one to three, deterministic
//! or with noise.

use super::config::{AlgorithmType, FinalSigmas, SchedulerConfig, SolverType};
use super::level::Level;
use super::schedule::Schedule;
use super::step::{Combination, Remembers, Step};

pub(super) fn steps(schedule: &Schedule, begin: usize) -> Vec<Step> {
    let config = &schedule.config;
    let levels: Vec<Level> = schedule
        .sigmas
        .iter()
        .map(|s| Level::of_sigma(*s))
        .collect();
    (begin..schedule.timesteps.len())
        .map(|i| {
            let order = order(config, i, begin, schedule.timesteps.len());
            let now = levels[i];
            let update = Combination {
                remembers: remembers(config, now),
                ..combine(config, &levels[i + 1 - order..=i + 1])
            };
            schedule.preserving(i, now, config.threshold(), update)
        })
        .collect()
}

/// How many steps a step looks at, itself included.
fn order(config: &SchedulerConfig, i: usize, begin: usize, steps: usize) -> usize {
    let is_short = config.lower_order_final && steps < 15;
    let is_last = i + 1 == steps;
    if is_last
        && (config.euler_at_final || is_short || config.final_sigmas_type == FinalSigmas::Zero)
    {
        return 1;
    }
    let most = if is_short && i + 2 == steps { 2 } else { 3 };
    config.solver_order.min(i - begin + 1).min(most)
}

/// x₀, or the noise.
fn remembers(config: &SchedulerConfig, now: Level) -> Remembers {
    if config.algorithm_type.predicts_x0() {
        return Remembers::default();
    }
    if config.thresholding {
        return Remembers {
            sample: 1.0 / now.sigma,
            output: 0.0,
            x0: -now.alpha / now.sigma,
        };
    }
    let epsilon = now.epsilon(config.prediction_type);
    Remembers {
        sample: epsilon.sample,
        output: epsilon.output,
        x0: 0.0,
    }
}

/// Factors of the latents, of the solver's quantity and of its first and second differences
/// (Lu et al. 2022: *DPM-Solver*, algorithms 1 to 3 and *DPM-Solver++*, appendix B; with noise:
/// its appendix on SDE-DPM-Solver++).
struct Factors {
    sample: f64,
    value: f64,
    first: f64,
    second: f64,
    noise: Option<f64>,
}

fn factors(config: &SchedulerConfig, now: Level, next: Level, is_third: bool) -> Factors {
    let h = next.lambda - now.lambda;
    // The third order has no midpoint.
    let heun = config.solver_type == SolverType::Heun || is_third;
    let pick = |midpoint: f64, by_heun: f64| if heun { by_heun } else { midpoint };
    match config.algorithm_type {
        AlgorithmType::DpmSolverPlusPlus => {
            let gone = (-h).exp_m1();
            Factors {
                sample: next.sigma / now.sigma,
                value: -next.alpha * gone,
                first: next.alpha * pick(-0.5 * gone, gone / h + 1.0),
                second: -next.alpha * ((gone + h) / (h * h) - 0.5),
                noise: None,
            }
        }
        AlgorithmType::SdeDpmSolverPlusPlus => {
            let gone = -(-2.0 * h).exp_m1();
            Factors {
                sample: next.sigma / now.sigma * (-h).exp(),
                value: next.alpha * gone,
                first: next.alpha * pick(0.5 * gone, 1.0 - gone / (2.0 * h)),
                second: next.alpha * ((gone - 2.0 * h) / (4.0 * h * h) - 0.5),
                noise: Some(next.sigma * gone.sqrt()),
            }
        }
        AlgorithmType::DpmSolver => {
            let grown = h.exp_m1();
            Factors {
                sample: next.alpha / now.alpha,
                value: -next.sigma * grown,
                first: -next.sigma * pick(0.5 * grown, grown / h - 1.0),
                second: -next.sigma * ((grown - h) / (h * h) - 0.5),
                noise: None,
            }
        }
        AlgorithmType::SdeDpmSolver => {
            let grown = h.exp_m1();
            Factors {
                sample: next.alpha / now.alpha,
                value: -2.0 * next.sigma * grown,
                first: -next.sigma * pick(grown, 2.0 * (grown / h - 1.0)),
                second: 0.0,
                noise: Some(next.sigma * (2.0 * h).exp_m1().sqrt()),
            }
        }
    }
}

/// The factors of a step over these levels: those looked back at, the present one, the next.
fn combine(config: &SchedulerConfig, levels: &[Level]) -> Combination {
    let [before @ .., now, next] = levels else {
        return Combination::default();
    };
    let h = next.lambda - now.lambda;
    // Without differences their factors, which end in nothing over nothing, are not wanted.
    let Factors {
        sample,
        value,
        first,
        second,
        noise,
    } = factors(config, *now, *next, before.len() == 2);
    let whole = Combination {
        sample,
        memo: value,
        noise,
        ..Combination::default()
    };
    match before {
        [one] => {
            // D₁ = (m₀ − m₁) / r₀
            let weight = first * h / (now.lambda - one.lambda);
            Combination {
                memo: value + weight,
                past: [-weight, 0.0, 0.0],
                ..whole
            }
        }
        [two, one] => {
            let r0 = (now.lambda - one.lambda) / h;
            let r1 = (one.lambda - two.lambda) / h;
            // With a = (m₀ − m₁) / r₀ and b = (m₁ − m₂) / r₁:
            // D₁ = a + r₀ (a − b) / (r₀ + r₁), D₂ = (a − b) / (r₀ + r₁)
            let by_a = first + (first * r0 + second) / (r0 + r1);
            let by_b = -(first * r0 + second) / (r0 + r1);
            Combination {
                memo: value + by_a / r0,
                past: [by_b / r1 - by_a / r0, -by_b / r1, 0.0],
                ..whole
            }
        }
        _ => whole,
    }
}
