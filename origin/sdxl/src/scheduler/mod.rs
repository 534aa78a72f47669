//! Schedulers, in diffusers' sense: which noise levels to visit, and how to get from one to
//! the next.
//!
//! A scheduler is a pure function. [`SchedulerConfig::plan`] turns a configuration and a number
//! of steps into a [`Plan`]: timesteps, noise levels and every step's factors ([`Step`]), all worked out in f64 before the first step. A run keeps
//! only what solvers remember between steps ([`History`]), so that runs cannot disturb one
//! another.

mod config;
mod dpm_solver_multistep;
mod euler;
mod sigmas;
mod step;

pub use config::{
    AlgorithmType, BetaSchedule, FinalSigmas, PredictionType, SchedulerClass, SchedulerConfig,
    SchedulerError, SolverType, TimestepSpacing,
};
pub use step::{History, Plan, Prediction, Step, Update};
