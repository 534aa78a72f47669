//! `scheduler_config.json`.

use serde::Deserialize;

use super::step::Plan;
use super::{dpm_solver_multistep, euler};

/// Which of diffusers' schedulers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum SchedulerClass {
    /// Euler's method (Karras et al. 2022, algorithm 2 without churn).
    EulerDiscreteScheduler,
    /// DPM-Solver++ (Lu et al. 2022) of first and second order.
    DPMSolverMultistepScheduler,
}

impl SchedulerClass {
    /// Reads a class name as diffusers writes it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        serde_json::from_value(serde_json::Value::String(name.to_owned())).ok()
    }
}

/// What the UNet predicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PredictionType {
    /// The noise.
    #[default]
    Epsilon,
    /// The velocity (Salimans and Ho 2022).
    VPrediction,
    /// The clean latents.
    Sample,
}

/// How the variances grow over the training's timesteps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BetaSchedule {
    /// Evenly.
    #[default]
    Linear,
    /// Their square roots evenly: SDXL's.
    ScaledLinear,
}

/// Which of the training's timesteps a run visits (Lin et al. 2023, table 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimestepSpacing {
    /// Evenly, both ends included.
    #[default]
    Linspace,
    /// Evenly from the clean end.
    Leading,
    /// Evenly from the noisy end.
    Trailing,
}

/// The noise level after the last step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinalSigmas {
    /// None.
    #[default]
    Zero,
    /// The training's least.
    SigmaMin,
}

/// Variant of DPM-Solver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum AlgorithmType {
    /// The deterministic one.
    #[default]
    #[serde(rename = "dpmsolver++")]
    DpmSolverPlusPlus,
    /// Noise is added at every step.
    #[serde(rename = "sde-dpmsolver++")]
    SdeDpmSolverPlusPlus,
}

/// How DPM-Solver's second order looks at the step before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SolverType {
    /// By the midpoint.
    #[default]
    Midpoint,
    /// By Heun's method.
    Heun,
}

/// A scheduler's options, with diffusers' names and defaults.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "the file's own fields")]
pub struct SchedulerConfig {
    /// Length of the training's schedule.
    pub num_train_timesteps: usize,
    /// First variance.
    pub beta_start: f64,
    /// Last variance.
    pub beta_end: f64,
    /// How they grow.
    pub beta_schedule: BetaSchedule,
    /// What the UNet predicts.
    pub prediction_type: PredictionType,
    /// Which timesteps are visited.
    pub timestep_spacing: TimestepSpacing,
    /// Added to every timestep of the leading spacing.
    pub steps_offset: usize,
    /// Whether the last variance is raised until nothing of the signal is left.
    pub rescale_betas_zero_snr: bool,
    /// Noise levels spaced as Karras et al. do it.
    pub use_karras_sigmas: bool,
    /// The level after the last step.
    pub final_sigmas_type: FinalSigmas,
    /// Order of DPM-Solver.
    pub solver_order: usize,
    /// Variant of DPM-Solver.
    pub algorithm_type: AlgorithmType,
    /// Variant of its second order.
    pub solver_type: SolverType,
    /// Whether DPM-Solver ends with a step of first order when there are fewer than 15.
    pub lower_order_final: bool,
    /// Whether it always does.
    pub euler_at_final: bool,
    pub(super) use_exponential_sigmas: bool,
    pub(super) use_beta_sigmas: bool,
    pub(super) use_lu_lambdas: bool,
    pub(super) use_flow_sigmas: bool,
    pub(super) thresholding: bool,
    pub(super) trained_betas: Option<Vec<f64>>,
    pub(super) sigma_min: Option<f64>,
    pub(super) sigma_max: Option<f64>,
    pub(super) interpolation_type: Option<String>,
    pub(super) timestep_type: Option<String>,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self {
            num_train_timesteps: 1000,
            beta_start: 0.0001,
            beta_end: 0.02,
            beta_schedule: BetaSchedule::default(),
            prediction_type: PredictionType::default(),
            timestep_spacing: TimestepSpacing::default(),
            steps_offset: 0,
            rescale_betas_zero_snr: false,
            use_karras_sigmas: false,
            final_sigmas_type: FinalSigmas::default(),
            solver_order: 2,
            algorithm_type: AlgorithmType::default(),
            solver_type: SolverType::default(),
            lower_order_final: true,
            euler_at_final: false,
            use_exponential_sigmas: false,
            use_beta_sigmas: false,
            use_lu_lambdas: false,
            use_flow_sigmas: false,
            thresholding: false,
            trained_betas: None,
            sigma_min: None,
            sigma_max: None,
            interpolation_type: None,
            timestep_type: None,
        }
    }
}

/// A configuration or a number of steps that no plan can be made from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchedulerError {
    /// An option that is not implemented.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// More steps than the training had, or none.
    #[error("must be between 1 and {max}, not {found}")]
    Steps {
        /// The most that this schedule allows.
        max: usize,
        /// What was asked for.
        found: usize,
    },
}

impl SchedulerConfig {
    /// Works a run of `steps` steps out.
    ///
    /// # Errors
    /// [`SchedulerError`].
    pub fn plan(&self, class: SchedulerClass, steps: usize) -> Result<Plan, SchedulerError> {
        self.check(class)?;
        // One less than the training's: some spacings divide by one more than the steps.
        let max = self.num_train_timesteps.saturating_sub(1);
        if steps == 0 || steps > max {
            return Err(SchedulerError::Steps { max, found: steps });
        }
        Ok(match class {
            SchedulerClass::EulerDiscreteScheduler => euler::plan(self, steps),
            SchedulerClass::DPMSolverMultistepScheduler => dpm_solver_multistep::plan(self, steps),
        })
    }

    fn check(&self, class: SchedulerClass) -> Result<(), SchedulerError> {
        let is = |option: &Option<String>, value: &str| {
            option.as_deref().is_none_or(|found| found == value)
        };
        let order_is_known = class != SchedulerClass::DPMSolverMultistepScheduler
            || matches!(self.solver_order, 1 | 2);
        let checks = [
            (!self.use_exponential_sigmas, "use_exponential_sigmas"),
            (!self.use_beta_sigmas, "use_beta_sigmas"),
            (!self.use_lu_lambdas, "use_lu_lambdas"),
            (!self.use_flow_sigmas, "use_flow_sigmas"),
            (!self.thresholding, "thresholding"),
            (self.trained_betas.is_none(), "trained_betas"),
            (self.sigma_min.is_none(), "sigma_min"),
            (self.sigma_max.is_none(), "sigma_max"),
            (
                is(&self.interpolation_type, "linear"),
                "interpolation_type other than linear",
            ),
            (
                is(&self.timestep_type, "discrete"),
                "timestep_type other than discrete",
            ),
            (order_is_known, "solver_order other than 1 and 2"),
        ];
        match checks.into_iter().find(|(fine, _)| !fine) {
            Some((_, what)) => Err(SchedulerError::Unsupported(what.to_owned())),
            None => Ok(()),
        }
    }
}
