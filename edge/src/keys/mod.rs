//! API keys: which there are ([`store`]), whose one is ([`mod@known`]), and the routes under
//! which they are managed ([`manage`]).

mod known;
mod manage;
mod store;

pub use known::known;
pub use manage::{create, list, revoke, rotate};
