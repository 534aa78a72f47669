//! Which timesteps and noise levels a run visits.

use super::class::SchedulerClass;
use super::config::{AlgorithmType, FinalSigmas, SchedulerConfig, TimestepSpacing, TimestepType};
use super::sigmas::spaced;
use super::step::Plan;
use super::training::{LEAST_ALPHA, Training};
use super::{
    ddim, ddpm, dpm_solver_multistep, dpm_solver_sde, euler, heun, lcm, lms, tcd, unipc_multistep,
};

/// How a run goes through the noise.
#[derive(Clone, Debug, PartialEq)]
pub enum Steps {
    /// In that many steps, spaced as the configuration says.
    Count(usize),
    /// Over these timesteps, falling.
    Timesteps(Vec<f64>),
    /// Over these noise levels, falling, and in the end to the last of them.
    Sigmas(Vec<f64>),
}

/// A configuration or steps that no plan can be made from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchedulerError {
    /// An option that cannot be read.
    #[error("the scheduler's configuration cannot be read: {0}")]
    Config(String),
    /// An option that is not implemented, or not for this scheduler.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// Options that contradict each other, or are out of their range.
    #[error("{0}")]
    Invalid(String),
    /// More steps than the training had, or none.
    #[error("must be between 1 and {max}, not {found}")]
    Steps {
        /// The most that this schedule allows.
        max: usize,
        /// What was asked for.
        found: usize,
    },
}

/// The places of a run in the noise, worked out but for the solver's factors.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub(super) class: SchedulerClass,
    pub(super) config: SchedulerConfig,
    pub(super) training: Training,
    /// What the UNet is told at each evaluation.
    pub(super) timesteps: Vec<f64>,
    /// σ of every step, and the last step's end. Empty where the solver works with ᾱ alone.
    pub(super) sigmas: Vec<f64>,
    /// How many steps were asked for.
    pub(super) steps: usize,
}

/// Numbers that a call gives and not a configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StepOptions {
    /// How much noise DDIM (0 unless told) and TCD (0.3 unless told) add at each step, from 0 to 1.
    pub eta: Option<f64>,
}

impl SchedulerConfig {
    /// Works out which noise levels are visited.
    ///
    /// # Errors
    /// [`SchedulerError`].
    pub fn schedule(
        &self,
        class: SchedulerClass,
        steps: &Steps,
    ) -> Result<Schedule, SchedulerError> {
        self.check(class, steps)?;
        let count = match steps {
            Steps::Count(count) => *count,
            Steps::Timesteps(all) => all.len(),
            Steps::Sigmas(all) => all.len().saturating_sub(1),
        };
        // One less than the training's: some spacings divide by one more than the steps.
        let max = match class {
            SchedulerClass::LCMScheduler | SchedulerClass::TCDScheduler => {
                self.original_inference_steps
            }
            _ => self.num_train_timesteps.saturating_sub(1),
        };
        if count == 0 || count > max {
            return Err(SchedulerError::Steps { max, found: count });
        }
        let training = Training::new(
            self,
            if class.works_with_alphas() {
                0.0
            } else {
                LEAST_ALPHA
            },
        );
        let mut schedule = Schedule {
            class,
            config: self.clone(),
            training,
            timesteps: Vec::new(),
            sigmas: Vec::new(),
            steps: count,
        };
        schedule.visit(steps);
        Ok(schedule)
    }

    fn check(&self, class: SchedulerClass, steps: &Steps) -> Result<(), SchedulerError> {
        let unsupported = |what: &str| Err(SchedulerError::Unsupported(what.to_owned()));
        let invalid = |what: &str| Err(SchedulerError::Invalid(what.to_owned()));
        if self.use_flow_sigmas {
            return unsupported("use_flow_sigmas");
        }
        if self
            .interpolation_type
            .as_deref()
            .is_some_and(|kind| kind != "linear")
        {
            return unsupported("interpolation_type other than linear");
        }
        let spacings = [
            self.use_karras_sigmas,
            self.use_exponential_sigmas,
            self.use_beta_sigmas,
            self.use_lu_lambdas,
        ];
        if spacings.iter().filter(|on| **on).count() > 1 {
            return invalid("only one of Karras, exponential, beta and lambda spacing can be used");
        }
        if !(1..=3).contains(&self.solver_order) {
            return unsupported("a solver_order other than 1, 2 and 3");
        }
        let ends_at_zero = self.final_sigmas_type == FinalSigmas::Zero;
        if class == SchedulerClass::DPMSolverMultistepScheduler
            && !self.algorithm_type.predicts_x0()
            && ends_at_zero
        {
            return invalid("an algorithm_type without ++ needs final_sigmas_type `sigma_min`");
        }
        if self.algorithm_type == AlgorithmType::SdeDpmSolver && self.solver_order == 3 {
            return unsupported("sde-dpmsolver of order 3");
        }
        if self.num_train_timesteps < 2 {
            return invalid("num_train_timesteps must be at least 2");
        }
        if self
            .trained_betas
            .as_ref()
            .is_some_and(|betas| betas.len() != self.num_train_timesteps)
        {
            return invalid("trained_betas must be as many as num_train_timesteps");
        }
        let falls = |all: &[f64]| all.windows(2).all(|pair| pair[0] > pair[1]);
        match steps {
            Steps::Timesteps(_) | Steps::Sigmas(_) if spacings.contains(&true) => {
                invalid("steps given by hand exclude Karras, exponential, beta and lambda spacing")
            }
            Steps::Timesteps(all) => {
                let end = self.num_train_timesteps as f64;
                if !falls(all) || !all.iter().all(|t| (0.0..end).contains(t)) {
                    let what = format!("timesteps must fall, from below {end} to no less than 0");
                    return Err(SchedulerError::Invalid(what));
                }
                Ok(())
            }
            Steps::Sigmas(_) if class.works_with_alphas() => {
                unsupported("`sigmas` with a scheduler that works with timesteps alone")
            }
            Steps::Sigmas(all)
                if !falls(all) || !all.iter().all(|s| s.is_finite() && *s >= 0.0) =>
            {
                invalid("sigmas must fall, and to no less than 0")
            }
            Steps::Count(_) | Steps::Sigmas(_) => Ok(()),
        }
    }
}

impl SchedulerClass {
    /// Whether the solver works with ᾱ at whole timesteps, and not with σ.
    fn works_with_alphas(self) -> bool {
        matches!(
            self,
            Self::DDIMScheduler | Self::DDPMScheduler | Self::LCMScheduler | Self::TCDScheduler
        )
    }

    /// Whether its steps are spaced over one interval more, and over the whole training.
    fn is_multistep_solver(self) -> bool {
        matches!(
            self,
            Self::DPMSolverMultistepScheduler | Self::UniPCMultistepScheduler
        )
    }

    /// Evaluations of the UNet a step.
    fn order(self) -> usize {
        match self {
            Self::HeunDiscreteScheduler | Self::DPMSolverSDEScheduler => 2,
            _ => 1,
        }
    }
}

impl Schedule {
    /// What the UNet is told at each evaluation.
    #[must_use]
    pub fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    /// How many steps were asked for.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Length of the training's schedule.
    #[must_use]
    pub fn num_train_timesteps(&self) -> usize {
        self.config.num_train_timesteps
    }

    /// Evaluations of the UNet a step, but for the last.
    #[must_use]
    pub fn order(&self) -> usize {
        self.class.order()
    }

    /// The plan of a run that begins with evaluation `begin`. Solvers that look back find nothing
    /// before it.
    #[must_use]
    pub fn plan(&self, begin: usize, options: StepOptions) -> Plan {
        let begin = begin.min(self.timesteps.len());
        let steps = match self.class {
            SchedulerClass::EulerDiscreteScheduler => euler::steps(self, begin),
            SchedulerClass::EulerAncestralDiscreteScheduler => euler::ancestral_steps(self, begin),
            SchedulerClass::DDIMScheduler => ddim::steps(self, begin, options),
            SchedulerClass::DDPMScheduler => ddpm::steps(self, begin),
            SchedulerClass::DPMSolverMultistepScheduler => dpm_solver_multistep::steps(self, begin),
            SchedulerClass::DPMSolverSDEScheduler => dpm_solver_sde::steps(self, begin),
            SchedulerClass::UniPCMultistepScheduler => unipc_multistep::steps(self, begin),
            SchedulerClass::LCMScheduler => lcm::steps(self, begin),
            SchedulerClass::HeunDiscreteScheduler => heun::steps(self, begin),
            SchedulerClass::LMSDiscreteScheduler => lms::steps(self, begin),
            SchedulerClass::TCDScheduler => tcd::steps(self, begin, options),
        };
        Plan {
            steps,
            init_noise_sigma: self.init_noise_sigma(),
            order: self.order(),
        }
    }

    /// Starting latents are unit noise times this.
    fn init_noise_sigma(&self) -> f64 {
        if self.class.works_with_alphas() || self.class.is_multistep_solver() {
            return 1.0;
        }
        let largest = self.sigmas.iter().copied().fold(0.0, f64::max);
        match self.config.timestep_spacing {
            TimestepSpacing::Leading => largest.hypot(1.0),
            TimestepSpacing::Linspace | TimestepSpacing::Trailing => largest,
        }
    }

    fn visit(&mut self, steps: &Steps) {
        match self.class {
            SchedulerClass::LCMScheduler | SchedulerClass::TCDScheduler => {
                self.timesteps = match steps {
                    Steps::Timesteps(all) => all.clone(),
                    _ => distilled(&self.config, self.steps),
                };
            }
            class if class.works_with_alphas() => {
                self.timesteps = match steps {
                    Steps::Timesteps(all) => all.clone(),
                    _ => whole(evenly(&self.config, self.steps, self.steps, self.last())),
                };
            }
            class if class.is_multistep_solver() => self.visit_whole_training(steps),
            _ => self.visit_levels(steps),
        }
    }

    /// How many timesteps are to be had: those whose λ is not clipped.
    fn last(&self) -> usize {
        let clip = self.config.lambda_min_clipped;
        let sigmas = &self.training.sigmas;
        sigmas.iter().filter(|sigma| -sigma.ln() >= clip).count()
    }

    /// DPM-Solver and UniPC: whole timesteps, and spacings over the whole training.
    fn visit_whole_training(&mut self, steps: &Steps) {
        let training = &self.training;
        let count = self.steps;
        let (least, highest) = (
            training.sigmas[0],
            training.sigmas[training.sigmas.len() - 1],
        );
        let multistep = self.class == SchedulerClass::DPMSolverMultistepScheduler;
        let mut last = self.final_sigma();
        if let Steps::Sigmas(sigmas) = steps {
            self.sigmas.clone_from(sigmas);
            let evaluated = &sigmas[..count];
            self.timesteps = whole(evaluated.iter().map(|s| training.timestep_at(*s)).collect());
            return;
        }
        if let (Steps::Count(_), Some(sigmas)) =
            (steps, spaced(&self.config, least, highest, count))
        {
            let rounds = self.config.use_karras_sigmas || self.config.use_lu_lambdas;
            self.timesteps = sigmas
                .iter()
                .map(|sigma| training.timestep_at(*sigma))
                .map(|t| {
                    if rounds {
                        t.round_ties_even()
                    } else {
                        t.trunc()
                    }
                })
                .collect();
            if !multistep && self.config.final_sigmas_type == FinalSigmas::SigmaMin {
                last = sigmas[count - 1];
            }
            self.sigmas = sigmas;
        } else {
            self.timesteps = match steps {
                Steps::Timesteps(all) => all.iter().map(|t| t.trunc()).collect(),
                _ => whole(evenly(&self.config, count, count + 1, self.last())),
            };
            self.sigmas = self
                .timesteps
                .iter()
                .map(|t| training.sigma_at(*t))
                .collect();
        }
        self.sigmas.push(last);
    }

    /// The solvers of k-diffusion: spacings between the levels of the first and last timestep.
    fn visit_levels(&mut self, steps: &Steps) {
        let training = &self.training;
        let count = self.steps;
        if let Steps::Sigmas(sigmas) = steps {
            self.sigmas.clone_from(sigmas);
            let evaluated = &sigmas[..count];
            self.timesteps = evaluated.iter().map(|s| training.timestep_at(*s)).collect();
        } else {
            self.timesteps = match steps {
                Steps::Timesteps(all) => all.clone(),
                _ => evenly(&self.config, count, count, self.config.num_train_timesteps),
            };
            self.sigmas = self
                .timesteps
                .iter()
                .map(|t| training.sigma_at(*t))
                .collect();
            let (least, highest) = (self.sigmas[count - 1], self.sigmas[0]);
            if let Some(sigmas) = spaced(&self.config, least, highest, count) {
                self.timesteps = sigmas.iter().map(|s| training.timestep_at(*s)).collect();
                self.sigmas = sigmas;
            }
            self.sigmas.push(self.final_sigma());
        }
        if self.config.timestep_type == TimestepType::Continuous
            && self.config.prediction_type == super::PredictionType::VPrediction
        {
            self.timesteps = self.sigmas[..count].iter().map(|s| 0.25 * s.ln()).collect();
        }
        if self.class.order() == 2 {
            self.visit_twice();
        }
    }

    /// Solvers of second order evaluate every step but the last once more: Heun's method at its
    /// end, DPM-Solver++ (SDE) half way there.
    fn visit_twice(&mut self) {
        let between = |i: usize| {
            if self.class == SchedulerClass::HeunDiscreteScheduler {
                self.timesteps[i + 1]
            } else {
                let middle = (self.sigmas[i] * self.sigmas[i + 1]).sqrt();
                self.training.timestep_at(middle)
            }
        };
        let last = self.timesteps.len() - 1;
        self.timesteps = (0..=last)
            .flat_map(|i| [Some(self.timesteps[i]), (i < last).then(|| between(i))])
            .flatten()
            .collect();
    }

    /// The level after the last step.
    fn final_sigma(&self) -> f64 {
        match self.config.final_sigmas_type {
            FinalSigmas::Zero => 0.0,
            FinalSigmas::SigmaMin => self.training.sigmas[0],
        }
    }
}

/// The timesteps of a consistency model: of its teacher's steps, evenly from the noisy end.
fn distilled(config: &SchedulerConfig, count: usize) -> Vec<f64> {
    let teacher = config.original_inference_steps;
    let skip = config.num_train_timesteps / teacher;
    (0..count)
        .map(|i| (teacher - i * teacher / count) * skip)
        .map(|timestep| timestep as f64 - 1.0)
        .collect()
}

/// Timesteps, falling. `intervals` is how many parts diffusers cuts the training's first `last`
/// timesteps into for the leading and even spacings: as many as steps, or one more.
fn evenly(config: &SchedulerConfig, count: usize, intervals: usize, last: usize) -> Vec<f64> {
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

fn whole(timesteps: Vec<f64>) -> Vec<f64> {
    timesteps.into_iter().map(f64::round_ties_even).collect()
}

/// `count` numbers evenly from `start` to `end`, both included; `start` alone for one.
pub(super) fn linspace(start: f64, end: f64, count: usize) -> Vec<f64> {
    let gaps = count.saturating_sub(1).max(1) as f64;
    (0..count)
        .map(|i| start + (end - start) * i as f64 / gaps)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visited(class: SchedulerClass, spacing: TimestepSpacing, count: usize) -> Vec<f64> {
        let config = SchedulerConfig {
            timestep_spacing: spacing,
            steps_offset: 1,
            ..SchedulerConfig::default()
        };
        let schedule = config
            .schedule(class, &Steps::Count(count))
            .expect("a schedule");
        schedule.timesteps
    }

    #[test]
    fn spacings_visit_what_diffusers_visits() {
        let euler =
            |spacing, count| visited(SchedulerClass::EulerDiscreteScheduler, spacing, count);
        assert_eq!(
            euler(TimestepSpacing::Leading, 4),
            [751.0, 501.0, 251.0, 1.0]
        );
        assert_eq!(
            euler(TimestepSpacing::Trailing, 4),
            [999.0, 749.0, 499.0, 249.0]
        );
        assert_eq!(
            euler(TimestepSpacing::Linspace, 4),
            [999.0, 666.0, 333.0, 0.0]
        );
        assert_eq!(euler(TimestepSpacing::Trailing, 1), [999.0]);
        let lcm = visited(SchedulerClass::LCMScheduler, TimestepSpacing::Leading, 4);
        assert_eq!(lcm, [999.0, 759.0, 499.0, 259.0]);
    }

    #[test]
    fn steps_by_hand_are_taken_as_they_are_and_checked() {
        let config = SchedulerConfig::default();
        let schedule = |class, steps: &Steps| config.schedule(class, steps);
        let euler = SchedulerClass::EulerDiscreteScheduler;
        let by_hand = Steps::Timesteps(vec![900.0, 450.0, 3.0]);
        assert_eq!(
            schedule(euler, &by_hand).expect("fine").timesteps,
            [900.0, 450.0, 3.0]
        );
        let by_hand = Steps::Sigmas(vec![10.0, 2.0, 0.0]);
        let by_sigmas = schedule(euler, &by_hand).expect("fine");
        assert_eq!(by_sigmas.sigmas, [10.0, 2.0, 0.0]);
        assert_eq!(by_sigmas.timesteps.len(), 2);
        for wrong in [
            Steps::Timesteps(vec![3.0, 900.0]),
            Steps::Timesteps(vec![1000.0, 3.0]),
            Steps::Timesteps(vec![]),
            Steps::Sigmas(vec![1.0, 2.0]),
            Steps::Sigmas(vec![1.0]),
            Steps::Count(0),
            Steps::Count(1000),
        ] {
            assert!(schedule(euler, &wrong).is_err(), "{wrong:?}");
        }
        let sigmas = Steps::Sigmas(vec![10.0, 0.0]);
        let error = schedule(SchedulerClass::DDIMScheduler, &sigmas).expect_err("refused");
        assert!(error.to_string().contains("sigmas"), "{error}");
    }
}
