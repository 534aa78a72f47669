//! Schedulers, in diffusers' sense: which noise levels to visit, and how to get from one to
//! the next.
//!
//! A scheduler is a pure function. [`SchedulerConfig::schedule`] says which timesteps and noise
//! levels a run visits ([`Schedule`]); [`Schedule::plan`] works out every step's factors
//! ([`Step`]), all in f64 and before the first step. A run keeps only what solvers remember
//! between steps ([`History`]), so that runs cannot disturb one another.

mod check;
mod class;
mod config;
mod ddim;
mod ddpm;
mod dpm_solver_multistep;
mod dpm_solver_sde;
mod euler;
mod heun;
mod lcm;
mod level;
mod lms;
mod schedule;
mod sigmas;
mod spacing;
mod step;
mod tcd;
mod training;
mod unipc_multistep;

pub use class::SchedulerClass;
pub(crate) use class::{NAMES, by_name, name_of};
pub use config::{
    AlgorithmType, BetaSchedule, FinalSigmas, PredictionType, SchedulerConfig, SolverType,
    TimestepSpacing, TimestepType, VarianceType,
};
pub use schedule::{Schedule, SchedulerError, StepOptions, Steps};
pub use step::{
    Bound, Combination, Correction, History, MEMORY, Plan, Prediction, Remembers, Step, Update,
};
