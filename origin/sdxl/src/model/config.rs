//! Configurations: JSON files that are checked as they are read.

use std::path::Path;

use crate::LoadError;
use crate::weights::parse_json;

/// What the first check that does not hold is about.
pub(crate) fn first_wrong<S: Into<String>, const N: usize>(
    checks: [(bool, S); N],
) -> Option<String> {
    let wrong = checks.into_iter().find(|(fine, _)| !fine);
    wrong.map(|(_, what)| what.into())
}

/// A network's `config.json`.
pub(crate) trait Configuration: serde::de::DeserializeOwned {
    /// What it asks for that is not done here, if anything.
    fn unsupported(&self) -> Option<String>;

    /// Reads and checks a configuration; `path` is what errors name.
    ///
    /// # Errors
    /// [`LoadError::Config`], [`LoadError::Unsupported`].
    fn parse(text: &str, path: &Path) -> Result<Self, LoadError> {
        parse_json::<Self>(text, path)?.supported(path)
    }

    /// Itself, unless it asks for what is not done here; `path` is what the error names.
    ///
    /// # Errors
    /// [`LoadError::Unsupported`].
    fn supported(self, path: &Path) -> Result<Self, LoadError> {
        match self.unsupported() {
            Some(what) => Err(LoadError::Unsupported {
                path: path.to_owned(),
                what,
            }),
            None => Ok(self),
        }
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`LoadError::Read`], [`LoadError::Config`], [`LoadError::Unsupported`].
    fn read(path: &Path) -> Result<Self, LoadError> {
        let text = std::fs::read_to_string(path).map_err(|source| LoadError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, path)
    }
}
