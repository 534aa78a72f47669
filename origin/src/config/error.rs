//! What is wrong with the settings, all of it at once.

use std::fmt;

/// Settings that are wrong, each with its remedy.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(pub Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        let settings = if count == 1 {
            "setting is"
        } else {
            "settings are"
        };
        write!(f, "{count} {settings} wrong:")?;
        self.0.iter().try_for_each(|wrong| write!(f, "\n  {wrong}"))
    }
}

impl std::error::Error for ConfigError {}
