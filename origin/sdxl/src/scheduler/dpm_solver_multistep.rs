//! `DPMSolverMultistepScheduler`: DPM-Solver++ of order one and two, deterministic or with noise.

use super::config::{
    AlgorithmType, FinalSigmas, PredictionType, SchedulerConfig, SolverType, TimestepSpacing,
};
use super::sigmas::{karras, last_sigma, sigma_at, timestep_at, timesteps, training_sigmas};
use super::step::{Plan, Prediction, Step, Update};

/// A noise level in the variance-preserving scale: latents are α · clean + σ · noise.
#[derive(Clone, Copy)]
struct Level {
    alpha: f64,
    sigma: f64,
    /// Half the logarithm of the signal-to-noise ratio; infinite where there is no noise.
    lambda: f64,
}

impl Level {
    fn new(sigma: f64) -> Self {
        let alpha = 1.0 / sigma.hypot(1.0);
        Self {
            alpha,
            sigma: sigma * alpha,
            lambda: -sigma.ln(),
        }
    }
}

pub(super) fn plan(config: &SchedulerConfig, steps: usize) -> Plan {
    let training = training_sigmas(config);
    let (timesteps, mut sigmas) = visited(config, &training, steps);
    sigmas.push(last_sigma(config, &training));
    let levels: Vec<Level> = sigmas.iter().map(|sigma| Level::new(*sigma)).collect();
    let steps = (0..steps)
        .map(|i| {
            let (now, next) = (levels[i], levels[i + 1]);
            let before = (i > 0 && is_second_order(config, i, steps)).then(|| levels[i - 1]);
            Step {
                timestep: timesteps[i],
                sigma: sigmas[i],
                ..combine(config, now, next, before)
            }
        })
        .collect();
    Plan {
        steps,
        init_noise_sigma: 1.0,
    }
}

/// Timesteps and σ of every step. diffusers rounds these timesteps to whole ones.
fn visited(config: &SchedulerConfig, training: &[f64], steps: usize) -> (Vec<f64>, Vec<f64>) {
    if config.use_karras_sigmas {
        // Over the whole training, unlike the Euler scheduler, which keeps to its own ends.
        let sigmas = karras(training[0], training[training.len() - 1], steps);
        let whole = |sigma: &f64| timestep_at(training, *sigma).round_ties_even();
        return (sigmas.iter().map(whole).collect(), sigmas);
    }
    let mut timesteps = timesteps(config, steps, steps + 1);
    if config.timestep_spacing == TimestepSpacing::Linspace {
        for timestep in &mut timesteps {
            *timestep = timestep.round_ties_even();
        }
    }
    let sigmas = timesteps.iter().map(|t| sigma_at(training, *t)).collect();
    (timesteps, sigmas)
}

fn is_second_order(config: &SchedulerConfig, index: usize, steps: usize) -> bool {
    let ends_in_first_order = config.euler_at_final
        || (config.lower_order_final && steps < 15)
        || config.final_sigmas_type == FinalSigmas::Zero;
    config.solver_order == 2 && !(index + 1 == steps && ends_in_first_order)
}

/// The factors of a step, without its place in the run; of second order where the level of the step before is given
/// (Lu et al. 2022, algorithm 2; with noise: their appendix, SDE-DPM-Solver++ 2M).
fn combine(config: &SchedulerConfig, now: Level, next: Level, before: Option<Level>) -> Step {
    let h = next.lambda - now.lambda;
    let is_sde = config.algorithm_type == AlgorithmType::SdeDpmSolverPlusPlus;
    // How much of the way to the clean picture is left, and how much of it is gone.
    let rate = if is_sde { 2.0 } else { 1.0 };
    let gone = -(-rate * h).exp_m1();
    let mut sample = next.sigma / now.sigma;
    if is_sde {
        sample *= (-h).exp();
    }
    let x0 = next.alpha * gone;
    let (mut x0_factor, mut previous_x0) = (x0, 0.0);
    if let Some(before) = before {
        let slope = h / (now.lambda - before.lambda);
        let weight = match config.solver_type {
            SolverType::Midpoint => 0.5 * x0,
            SolverType::Heun => next.alpha * (1.0 - gone / (rate * h)),
        } * slope;
        x0_factor += weight;
        previous_x0 = -weight;
    }
    Step {
        timestep: 0.0,
        sigma: 0.0,
        input_scale: 1.0,
        prediction: prediction(config.prediction_type, now),
        update: Update::Combination {
            sample,
            x0: x0_factor,
            previous_x0,
            noise: is_sde.then(|| next.sigma * (-(-2.0 * h).exp_m1()).sqrt()),
        },
        noised: (now.alpha, now.sigma),
    }
}

fn prediction(kind: PredictionType, level: Level) -> Prediction {
    let Level { alpha, sigma, .. } = level;
    let (sample, output) = match kind {
        PredictionType::Epsilon => (1.0 / alpha, -sigma / alpha),
        PredictionType::VPrediction => (alpha, -sigma),
        PredictionType::Sample => (0.0, 1.0),
    };
    Prediction { sample, output }
}
