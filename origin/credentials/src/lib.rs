//! Content credentials (C2PA) of pictures: a [`Signer`] puts a signed manifest into a file, [`read`]
//! says what became of one.
//!
//! This is all that knows of the crate `c2pa`, which is large; nothing here asks the network for
//! anything, neither for manifests that are kept elsewhere nor for revoked certificates.

mod claim;
mod read;
mod signer;

pub use claim::Claim;
pub use read::{Anchors, AnchorsError, Failure, ReadError, Report, Standing, read};
pub use signer::{SignError, Signer, SignerError};
