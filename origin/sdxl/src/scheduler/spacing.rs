//! Timesteps, spaced.

use super::config::{SchedulerConfig, TimestepSpacing};

/// The timesteps of a consistency model: of its teacher's steps, evenly from the noisy end.
pub(super) fn distilled(config: &SchedulerConfig, count: usize) -> Vec<f64> {
    let teacher = config.original_inference_steps;
    let skip = config.num_train_timesteps / teacher;
    (0..count)
        .map(|i| (teacher - i * teacher / count) * skip)
        .map(|timestep| timestep as f64 - 1.0)
        .collect()
}

/// Timesteps, falling. `intervals` is how many parts diffusers cuts the training's first `last`
/// timesteps into for the leading and even spacings: as many as steps, or one more.
pub(super) fn evenly(
    config: &SchedulerConfig,
    count: usize,
    intervals: usize,
    last: usize,
) -> Vec<f64> {
    match config.timestep_spacing {
        TimestepSpacing::Linspace => {
            let mut all = linspace(0.0, last as f64 - 1.0, intervals);
            all.reverse();
            all.truncate(count);
            all
        }
        TimestepSpacing::Leading => {
            let ratio = last / intervals;
            let at = |i: usize| (i * ratio + config.steps_offset) as f64;
            (0..intervals).rev().map(at).take(count).collect()
        }
        TimestepSpacing::Trailing => {
            let ratio = config.num_train_timesteps as f64 / count as f64;
            (0..count)
                .map(|i| (last as f64 - i as f64 * ratio).round_ties_even() - 1.0)
                .collect()
        }
    }
}

pub(super) fn whole(timesteps: Vec<f64>) -> Vec<f64> {
    timesteps.into_iter().map(f64::round_ties_even).collect()
}

/// `count` numbers evenly from `start` to `end`, both included; `start` alone for one.
pub(super) fn linspace(start: f64, end: f64, count: usize) -> Vec<f64> {
    let gaps = count.saturating_sub(1).max(1) as f64;
    (0..count)
        .map(|i| start + (end - start) * i as f64 / gaps)
        .collect()
}
