//! Where a command's work runs that has to wait for others.

use anyhow::Context as _;

use super::Failure;

/// Runs a command's work to its end.
pub fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?
        .block_on(work)
}
