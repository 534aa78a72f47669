//! What each key may use up: requests a minute, images a day.
//!
//! Who calls is held back twice. The shield ([`burst`]) is the platform's own counter: quick, of
//! one location, and it says only yes or no. Exact is the key's ledger ([`ledger`]), which one
//! Durable Object keeps ([`object`]), wherever the key is used; handlers speak with it through
//! [`charge`] in the words of [`message`].
//!
//! Images are taken before their job is handed in, under the job's id. They are given back when
//! the job ends without them: the call that waits for it says so, and where nobody waits the
//! object asks the origin what became of it.

mod burst;
mod charge;
mod ledger;
mod message;
mod object;

pub use burst::check as check_burst;
pub use charge::{Charge, LimitHeaders, Taken, not_made, requests};
pub use message::End;
