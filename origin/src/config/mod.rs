//! One typed configuration: file < environment < flags, read once at start.
//!
//! [`settings`] declares every setting once; the flags, the file's keys and the README's
//! table all follow from it. `layers` finds a setting's value, `reader` makes a typed value of it by
//! `values` or by a check of its own, and [`Config::read`] puts all together, or reports everything
//! that is wrong at once.

mod authorities;
mod bucket;
mod credentials;
mod distribution;
mod error;
mod layers;
mod read;
mod reader;
pub mod settings;
mod values;

pub use bucket::{Bucket, Encryption};
pub use distribution::Distribution;
pub use error::ConfigError;
pub use layers::{FileError, Layers};
pub use read::Config;
