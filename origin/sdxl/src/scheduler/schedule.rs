//! Which timesteps and noise levels a run visits.

use super::class::SchedulerClass;
use super::config::{FinalSigmas, SchedulerConfig, TimestepSpacing, TimestepType};
use super::sigmas::spaced;
use super::spacing::{distilled, evenly, whole};
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
}

impl SchedulerClass {
    /// Whether the solver works with ᾱ at whole timesteps, and not with σ.
    pub(super) fn works_with_alphas(self) -> bool {
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
