//! One typed configuration: file < environment < flags, read once at start.
//!
//! [`settings`] declares every setting once; the flags, the file's keys and the README's
//! table all follow from it. `layers` finds a setting's value, and [`Config::read`] makes
//! typed values of them, or reports everything that is wrong at once.

mod layers;
mod read;
pub mod settings;

pub use layers::{FileError, Layers};
pub use read::{Bucket, Config, ConfigError, Distribution, Encryption};
