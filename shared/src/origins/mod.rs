//! Several origins, any of which can answer any call: which of them is asked ([`Origins`]), by
//! what each has answered before ([`Outcome`]).

mod breaker;
mod choice;
mod urls;

use breaker::{Breaker, State};

pub use breaker::Outcome;
pub use choice::{Attempt, Origins};
pub(crate) use urls::is_plain_url;
pub use urls::parse_urls;
