//! `Idempotency-Key`: a POST that is sent again under the same key is not done again
//! (draft-ietf-httpapi-idempotency-key-header-07).
//!
//! Each key of each account has a Durable Object ([`object`]) that keeps what was sent, by its
//! digest, and what was answered ([`record`]), for a day. [`once`] asks it before a call is
//! answered, and tells it afterwards.

mod object;
mod once;
mod record;

pub use object::HEADER;
pub use once::{Kind, once};
