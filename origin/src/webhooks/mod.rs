//! Telling callers how their jobs ended, as [Standard Webhooks](https://www.standardwebhooks.com)
//! has it.
//!
//! What is to be told is written down in the transaction that ends the job (`database/outbox.rs`);
//! the `deliverer` claims what is due on a lease, sends it, and records what came of it by the
//! `schedule`. A process that dies in between leaves a lease that runs out: so an event is told at
//! least once, each time under the same id, `signing` each anew. `sealing` keeps the secrets that sign.

mod deliverer;
mod schedule;
mod sealing;
mod signing;

pub use deliverer::Deliverer;
pub use sealing::{SealError, SealingKeys};
pub use signing::{fresh_secret, headers};
