//! The service through its public door: signed requests in, answers out, no socket.
//!
//! The engine is a stub that a test can hold at a step; everything else is real.

mod auth;
mod cancel;
mod checkpoints;
mod credentials;
mod database;
mod deadlines;
mod drain;
mod engine_busy;
mod events;
mod failures;
mod fairness;
mod faults;
mod generate;
mod hang_up;
mod health;
mod history;
mod images;
mod inputs;
mod inputs_by_address;
mod invalidation;
mod jobs;
mod joining;
mod leases;
mod listening;
mod metrics;
mod multipart;
mod operator;
mod other_store;
mod outbound;
mod pictures;
mod pipeline;
mod posts;
mod reconcile;
mod restart;
mod retention;
mod s3;
mod shared;
mod support;
mod traces;
mod variants;
mod webhooks;
