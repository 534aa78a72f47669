//! Which part of a schedule a run takes.

use std::ops::Range;

use super::prepare::invalid;
use super::run::{Run, Start};
use crate::RunError;
use crate::scheduler::Schedule;

/// Which evaluations of a schedule a run takes.
pub(super) fn evaluations(run: &Run, schedule: &Schedule) -> Result<Range<usize>, RunError> {
    let timesteps = schedule.timesteps();
    let trained = schedule.num_train_timesteps() as f64;
    let cutoff = |share: f64| (trained - share * trained).round_ties_even();
    let begin = match (&run.start, run.denoising_start) {
        (_, Some(start)) => {
            let mut left = timesteps.iter().filter(|t| **t < cutoff(start)).count();
            // A step of two evaluations is not cut in halves.
            if schedule.order() == 2 && left.is_multiple_of(2) {
                left += 1;
            }
            timesteps.len().saturating_sub(left)
        }
        (Start::Image { strength, .. } | Start::Inpaint { strength, .. }, None) => {
            let steps = schedule.steps();
            let taken = ((steps as f64 * strength) as usize).min(steps);
            (steps - taken) * schedule.order()
        }
        _ => 0,
    };
    let end = match run.denoising_end {
        None => timesteps.len(),
        Some(end) => {
            let rest = timesteps.get(begin..).unwrap_or_default();
            begin + rest.iter().filter(|t| **t >= cutoff(end)).count()
        }
    };
    if begin >= end {
        return Err(nothing_to_do(run));
    }
    Ok(begin..end)
}

pub(super) fn nothing_to_do(run: &Run) -> RunError {
    let field = match (&run.start, run.denoising_start.or(run.denoising_end)) {
        (_, Some(_)) => "denoising_start",
        (Start::Noise | Start::Latents(_), None) => "steps",
        _ => "strength",
    };
    invalid(
        field,
        "leaves no step to take: more steps are needed, or more of the denoising",
    )
}
