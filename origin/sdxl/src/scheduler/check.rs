//! What no schedule can be made from.

use super::class::SchedulerClass;
use super::config::{AlgorithmType, FinalSigmas, SchedulerConfig};
use super::schedule::{SchedulerError, Steps};

impl SchedulerConfig {
    /// Whether the options fit together, the class and the steps.
    pub(super) fn check(&self, class: SchedulerClass, steps: &Steps) -> Result<(), SchedulerError> {
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
        let is_distilled = matches!(
            class,
            SchedulerClass::LCMScheduler | SchedulerClass::TCDScheduler
        );
        let range = self.clip_sample_range;
        if self.clip_sample && (range.is_nan() || range <= 0.0) {
            return invalid("clip_sample_range must be above 0");
        }
        if self.thresholding
            && !((0.0..=1.0).contains(&self.dynamic_thresholding_ratio)
                && self.sample_max_value >= 1.0)
        {
            return invalid(
                "dynamic_thresholding_ratio must be from 0 to 1, sample_max_value at least 1",
            );
        }
        let teacher = self.original_inference_steps;
        if is_distilled && !(1..=self.num_train_timesteps).contains(&teacher) {
            return invalid("original_inference_steps must be from 1 to num_train_timesteps");
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
            Steps::Timesteps(_) if class == SchedulerClass::DDIMScheduler => {
                unsupported("`timesteps` with DDIM, whose steps are all of one length,")
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
