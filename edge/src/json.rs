//! Reading JSON, all of it by one reader: each other kind of reader is another copy of all that reads
//! by it, a tenth of the Worker's size.

use serde::de::DeserializeOwned;

/// Reads a text.
///
/// # Errors
/// It is none of `T`.
pub fn read<T: DeserializeOwned>(text: impl AsRef<[u8]>) -> serde_json::Result<T> {
    serde_json::from_slice(text.as_ref())
}
