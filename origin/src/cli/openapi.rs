//! `darkroom openapi`

use anyhow::Context as _;
use darkroom_shared::openapi::document;

use super::{Failure, print};

/// Prints the description of the edge's API.
pub fn run() -> Result<(), Failure> {
    print::json(&document().context("the document cannot be written")?)
}
