//! A model's files: where each of its networks and configurations is, whatever the layout.
//!
//! [`ModelFiles`] says so for a folder in diffusers' layout or for a single file; a [`Part`] is a
//! network with its files, on the device always or while it is in use.

mod config;
mod files;
mod part;
mod published;

pub(crate) use config::{Configuration, first_wrong};
pub use files::Defaults;
pub(crate) use files::{ModelFiles, ModelIndex, TextFiles};
pub(crate) use part::{Held, Network, Part, PartFiles, config_of};
