//! `scheduler_config.json`.

use serde::Deserialize;

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
    /// By a squared cosine (Nichol and Dhariwal 2021).
    #[serde(rename = "squaredcos_cap_v2")]
    SquaredcosCapV2,
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
    /// Over the clean latents.
    #[default]
    #[serde(rename = "dpmsolver++", alias = "deis")]
    DpmSolverPlusPlus,
    /// Over the noise (Lu et al. 2022, the first of their papers).
    #[serde(rename = "dpmsolver")]
    DpmSolver,
    /// Over the clean latents, with noise added at every step.
    #[serde(rename = "sde-dpmsolver++")]
    SdeDpmSolverPlusPlus,
    /// Over the noise, with more of it added at every step.
    #[serde(rename = "sde-dpmsolver")]
    SdeDpmSolver,
}

impl AlgorithmType {
    /// Whether the solver works on the clean latents.
    pub(super) fn predicts_x0(self) -> bool {
        matches!(self, Self::DpmSolverPlusPlus | Self::SdeDpmSolverPlusPlus)
    }
}

/// How a multistep solver looks at the steps before. diffusers takes each solver's names for the
/// other's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SolverType {
    /// DPM-Solver: by the midpoint.
    #[default]
    #[serde(alias = "logrho")]
    Midpoint,
    /// DPM-Solver: by Heun's method.
    Heun,
    /// UniPC: its first choice of B(h).
    Bh1,
    /// UniPC: its second.
    Bh2,
}

/// How much noise DDPM adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VarianceType {
    /// The posterior's variance.
    #[default]
    FixedSmall,
    /// The same, by way of its logarithm.
    FixedSmallLog,
    /// The step's own variance.
    FixedLarge,
}

/// What timesteps mean to the UNet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimestepType {
    /// Places in the training's schedule.
    #[default]
    Discrete,
    /// A quarter of the noise level's logarithm, for models that predict velocities.
    Continuous,
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
    /// Every variance, instead of the three above.
    pub trained_betas: Option<Vec<f64>>,
    /// What the UNet predicts.
    pub prediction_type: PredictionType,
    /// Which timesteps are visited.
    pub timestep_spacing: TimestepSpacing,
    /// What timesteps mean.
    pub timestep_type: TimestepType,
    /// Added to every timestep of the leading spacing.
    pub steps_offset: usize,
    /// Whether the last variance is raised until nothing of the signal is left.
    pub rescale_betas_zero_snr: bool,
    /// Noise levels spaced as Karras et al. do it.
    pub use_karras_sigmas: bool,
    /// Noise levels spaced evenly by their logarithms.
    pub use_exponential_sigmas: bool,
    /// Noise levels spaced by a beta distribution (Lee et al. 2024).
    pub use_beta_sigmas: bool,
    /// Noise levels spaced evenly by λ (Lu et al. 2022).
    pub use_lu_lambdas: bool,
    /// The least level of the three spacings, where it is not the schedule's own.
    pub sigma_min: Option<f64>,
    /// The highest.
    pub sigma_max: Option<f64>,
    /// The level after the last step.
    pub final_sigmas_type: FinalSigmas,
    /// λ below which no timestep is visited.
    pub lambda_min_clipped: f64,
    /// Order of DPM-Solver and UniPC.
    pub solver_order: usize,
    /// Variant of DPM-Solver.
    pub algorithm_type: AlgorithmType,
    /// Variant of DPM-Solver's second order, and of UniPC.
    pub solver_type: SolverType,
    /// Whether the last steps are of lower order where there are few.
    pub lower_order_final: bool,
    /// Whether the last step always is of first order.
    pub euler_at_final: bool,
    /// Whether UniPC works on the clean latents.
    pub predict_x0: bool,
    /// Steps after which UniPC does not correct.
    pub disable_corrector: Vec<usize>,
    /// Whether DDIM ends at no noise, or at the training's least.
    pub set_alpha_to_one: bool,
    /// Whether the clean latents are cut off at [`clip_sample_range`](Self::clip_sample_range).
    pub clip_sample: bool,
    /// See [`clip_sample`](Self::clip_sample).
    pub clip_sample_range: f64,
    /// Whether they are scaled by a quantile of theirs instead (Saharia et al. 2022).
    pub thresholding: bool,
    /// Which quantile.
    pub dynamic_thresholding_ratio: f64,
    /// The most that it may be.
    pub sample_max_value: f64,
    /// How much noise DDPM adds.
    pub variance_type: VarianceType,
    /// Steps of the teacher of a consistency model.
    pub original_inference_steps: usize,
    /// How sharply a consistency model's boundary condition sets in.
    pub timestep_scaling: f64,
    pub(super) use_flow_sigmas: bool,
    pub(super) interpolation_type: Option<String>,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self {
            num_train_timesteps: 1000,
            beta_start: 0.0001,
            beta_end: 0.02,
            beta_schedule: BetaSchedule::default(),
            trained_betas: None,
            prediction_type: PredictionType::default(),
            timestep_spacing: TimestepSpacing::default(),
            timestep_type: TimestepType::default(),
            steps_offset: 0,
            rescale_betas_zero_snr: false,
            use_karras_sigmas: false,
            use_exponential_sigmas: false,
            use_beta_sigmas: false,
            use_lu_lambdas: false,
            sigma_min: None,
            sigma_max: None,
            final_sigmas_type: FinalSigmas::default(),
            lambda_min_clipped: f64::NEG_INFINITY,
            solver_order: 2,
            algorithm_type: AlgorithmType::default(),
            solver_type: SolverType::default(),
            lower_order_final: true,
            euler_at_final: false,
            predict_x0: true,
            disable_corrector: Vec::new(),
            set_alpha_to_one: true,
            clip_sample: false,
            clip_sample_range: 1.0,
            thresholding: false,
            dynamic_thresholding_ratio: 0.995,
            sample_max_value: 1.0,
            variance_type: VarianceType::default(),
            original_inference_steps: 50,
            timestep_scaling: 10.0,
            use_flow_sigmas: false,
            interpolation_type: None,
        }
    }
}
