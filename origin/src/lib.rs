//! Darkroom's origin: makes pictures, keeps them, and records every job.
//!
//! A signed request comes in through [`http`], with its [`inputs`] decoded, and becomes a job in
//! the [`database`]. One thread of [`jobs`] claims jobs in order and runs each on the [`engine`];
//! what comes out is [`encode`]d, put into the [`spool`], stored in [`storage`] and recorded, while
//! the engine goes on. [`housekeeping`] looks after what is stored, and after what [`cloudfront`]
//! has of it; [`webhooks`] tell callers of the end. Whatever server a caller names is asked through [`outbound`]. What happens is counted in
//! [`metrics`], and told step by step to [`traces`]. [`service`] puts these together, from what
//! [`config`] says ([`options`]), and ends where one of its [`vital`] tasks breaks; [`listening`] lets
//! callers in.

pub mod addresses;
pub mod admin;
mod atomic_file;
mod aws;
pub mod cause;
pub mod clock;
pub mod cloudfront;
pub mod config;
pub mod database;
pub mod encode;
pub mod engine;
pub mod housekeeping;
pub mod http;
pub mod inputs;
pub mod jobs;
pub mod listening;
pub mod machine;
pub mod metrics;
pub mod options;
pub mod outbound;
mod per_account;
pub mod provenance;
pub mod service;
pub mod spool;
pub mod storage;
pub mod traces;
pub mod vital;
pub mod webhooks;

pub use atomic_file::{check_writable, write_atomically};
