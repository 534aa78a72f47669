//! Asking servers that callers name, and no others than those may: a webhook's receiver, the place
//! of a picture.
//!
//! What a name resolves to is judged and then connected to, and is not asked for again in between:
//! whoever answers for the name cannot say one thing to the check and another to the connection.
//! An address that is written as a number is judged before. Nobody sends us elsewhere: redirects
//! are not followed, and no proxy of the environment is asked.

mod client;
mod error;
mod resolver;
mod retry_after;

pub use client::{Fetched, Outbound, Posted};
pub use error::OutboundError;
pub use resolver::{Lookup, SystemLookup};
