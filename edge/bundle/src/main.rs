//! Turns the edge's wasm into the module that workerd loads.
//!
//! `darkroom-edge-bundle <edge.wasm> <output folder>`
//!
//! It does the part of `worker-build` that this edge needs. Being a crate of the workspace, it
//! shares the lock file with the edge, so that the glue's version and the library's cannot
//! part; and it needs nothing but a Rust compiler. `wrangler` does the rest of the bundling.

mod bundle;
mod swap;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

const USAGE: &str = "usage: darkroom-edge-bundle <edge.wasm> <output folder>";

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [wasm, output] = arguments.as_slice() else {
        bail!("{USAGE}");
    };
    swap::replace_folder(output, |staging| bundle::write(wasm, staging))
        .with_context(|| format!("cannot bundle {} into {}", wasm.display(), output.display()))
}
