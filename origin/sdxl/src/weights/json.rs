//! JSON as Python writes it.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::LoadError;

/// Reads a JSON configuration. As JSON5, since Python writes `-Infinity` and `NaN` into some.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, LoadError> {
    let text = std::fs::read_to_string(path).map_err(|source| LoadError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse_json(&text, path)
}

/// The same of a text; `path` is what errors name.
pub(crate) fn parse_json<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T, LoadError> {
    json5::from_str(text).map_err(|source| LoadError::Config {
        path: path.to_owned(),
        source,
    })
}
