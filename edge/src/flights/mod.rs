//! Single flight: whoever asks for a recipe while it is made gets the picture that is being made.
//!
//! Each recipe has one Durable Object ([`object`]), wherever it is asked for: the first caller's
//! request begins its flight, all others join it ([`join`]). What is said between the two is in
//! [`message`]. The flight's one job belongs to whoever began it; accounts that join are made its
//! readers, so that none of them can end it for the others.

mod join;
mod log;
mod message;
mod object;
mod reader;

pub use join::{Flown, forget, join};
pub use message::{FAILED, ROLE, Role};
