//! API keys as they are kept: who a key stands for, what it may do, and for how long.
//!
//! A [`CreateKey`] becomes a [`KeyRecord`]; its [`Key`] is what is shown of it, and an [`Issued`]
//! one goes with the key's text, once. A [`RotateKey`] gives the record another text.

mod create;
mod list;
mod record;
mod rotate;

pub use create::{CreateKey, MAX_LIFETIME_SECONDS};
pub use list::ListKeys;
pub use record::{Issued, Key, KeyRecord};
pub use rotate::{MAX_GRACE_SECONDS, RotateKey};
