//! Faults: processes that are killed, databases and stores that are away, slow or wrong. After each
//! of them what was accepted has come to one end, with its picture or with a cause.
//!
//! `scripts/test faults` runs them, and prints what they counted.

mod clock;
mod kills;
mod postgres;
mod process;
mod proxy;
mod receivers;
mod stores;
mod traces;
mod world;
