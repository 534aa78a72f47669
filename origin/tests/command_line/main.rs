//! The `darkroom` command, run as a user runs it.

mod bench;
mod doctor;
mod generate;
mod help;
mod images;
mod jobs;
mod keys;
mod models;
mod posts;
mod reconcile;
mod serve;
mod settings;
mod support;
mod verify;
mod webhooks;
