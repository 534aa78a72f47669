//! What must be remembered: jobs, the pictures they make, their events, and the nonces seen.
//!
//! `accept` puts a job into the queue and `queue` takes it out; `outcome` ends it, and `recover`
//! takes over what a process before this one left. `read` finds jobs, images and events again,
//! `readers` says who else may, and `delete` takes images away. Every step that changes a job's
//! status writes its event in the same transaction, so that who reads events never misses or
//! invents one.

mod accept;
mod address;
mod delete;
mod error;
mod events;
mod nonces;
mod open;
mod outcome;
mod queue;
mod read;
mod readers;
mod recover;
mod rows;
mod starts;
#[cfg(test)]
mod tests;

pub use accept::{Acceptance, NewImage, NewJob};
pub use address::{Address, AddressError};
pub use delete::Deleted;
pub use error::DatabaseError;
pub use events::StoredEvent;
pub use open::Database;
pub use outcome::Ended;
pub use queue::{Claim, ClaimedImage, ClaimedJob};
pub use read::{Ahead, StoredJob};
pub use readers::GivenUp;
pub use recover::MAX_ATTEMPTS;
