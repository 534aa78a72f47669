//! The service through its public door: signed requests in, answers out, no socket.
//!
//! The engine is a stub that a test can hold at a step; everything else is real.

mod auth;
mod cancel;
mod database;
mod drain;
mod events;
mod failures;
mod generate;
mod hang_up;
mod health;
mod inputs;
mod jobs;
mod leases;
mod multipart;
mod pictures;
mod reconcile;
mod restart;
mod retention;
mod s3;
mod shared;
mod support;
mod variants;
