//! API keys: which there are ([`store`]), whose one is ([`known`]), and the routes under
//! which they are managed ([`manage`]), and what becomes of those that are of no more use
//! ([`mod@clean_up`]).

mod clean_up;
mod known;
mod manage;
mod store;

pub use clean_up::clean_up;
pub use known::{NoKey, look_up, remembered};
pub use manage::{create, list, revoke, rotate};
