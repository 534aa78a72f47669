//! Where a setting's value comes from: flags before the environment before the file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::settings::{ALL, Setting};

/// The three sources, already read.
#[derive(Debug, Default)]
pub struct Layers {
    /// The file's values by key.
    pub file: BTreeMap<String, String>,
    /// The environment's values by name.
    pub environment: BTreeMap<String, String>,
    /// The flags' values by key.
    pub flags: BTreeMap<String, String>,
}

/// Why the configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is not there, or not for us.
    #[error("the configuration file `{}` cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the file system says.
        source: std::io::Error,
    },
    /// It is no TOML.
    #[error("the configuration file `{}` is no TOML", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// What the parser says, with the line.
        source: toml::de::Error,
    },
    /// Keys that mean nothing, or values that are no plain value.
    #[error("the configuration file `{}`:\n{}", path.display(), wrong.join("\n"))]
    Keys {
        /// The file.
        path: PathBuf,
        /// A line for each.
        wrong: Vec<String>,
    },
}

impl Layers {
    /// Reads the file, where there is one, and this process's environment.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn gather(file: Option<&Path>, flags: BTreeMap<String, String>) -> Result<Self, FileError> {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| {
                // A value that is no UTF-8 stays in, changed, and fails its own check by name.
                Some((
                    name.into_string().ok()?,
                    value.to_string_lossy().into_owned(),
                ))
            })
            .collect();
        Ok(Self {
            file: file.map_or_else(|| Ok(BTreeMap::new()), read_file)?,
            environment,
            flags,
        })
    }

    /// A setting's value and, for messages, where it stands. An empty value is none.
    #[must_use]
    pub fn find(&self, setting: &Setting) -> Option<(&str, &'static str)> {
        let sources = [
            (self.flags.get(setting.key), "flag"),
            (self.environment.get(setting.name), "environment"),
            (self.file.get(setting.key), "configuration file"),
        ];
        sources
            .into_iter()
            .filter_map(|(value, source)| Some((value?.as_str(), source)))
            .find(|(value, _)| !value.is_empty())
    }
}

fn read_file(path: &Path) -> Result<BTreeMap<String, String>, FileError> {
    let text = fs::read_to_string(path).map_err(|source| FileError::Read {
        path: path.to_owned(),
        source,
    })?;
    let table: toml::Table = toml::from_str(&text).map_err(|source| FileError::Toml {
        path: path.to_owned(),
        source,
    })?;
    let mut values = BTreeMap::new();
    let mut wrong = Vec::new();
    for (key, value) in table {
        if !ALL.iter().any(|setting| setting.key == key) {
            wrong.push(format!(
                "  `{key}` is no setting; `darkroom settings` lists them"
            ));
            continue;
        }
        match value {
            toml::Value::String(text) => {
                values.insert(key, text);
            }
            toml::Value::Integer(number) => {
                values.insert(key, number.to_string());
            }
            _ => wrong.push(format!("  `{key}` must be a string or a whole number")),
        }
    }
    if wrong.is_empty() {
        Ok(values)
    } else {
        Err(FileError::Keys {
            path: path.to_owned(),
            wrong,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::{LISTEN, QUEUE_LIMIT};
    use super::*;

    fn one(key: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(key.to_owned(), value.to_owned())])
    }

    #[test]
    fn flags_win_over_the_environment_over_the_file() {
        let mut layers = Layers {
            file: one("listen", "file"),
            environment: one("DARKROOM_LISTEN", "environment"),
            flags: one("listen", "flag"),
        };
        assert_eq!(layers.find(&LISTEN), Some(("flag", "flag")));
        layers.flags.clear();
        assert_eq!(layers.find(&LISTEN), Some(("environment", "environment")));
        layers.environment = one("DARKROOM_LISTEN", "");
        assert_eq!(layers.find(&LISTEN), Some(("file", "configuration file")));
        assert_eq!(layers.find(&QUEUE_LIMIT), None);
    }

    #[test]
    fn the_file_is_flat_toml_of_known_keys() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("darkroom.toml");
        fs::write(&path, "listen = \"a\"\nqueue_limit = 5\n").expect("written");
        let values = read_file(&path).expect("read");
        assert_eq!(values.get("queue_limit").map(String::as_str), Some("5"));
        fs::write(&path, "colour = \"red\"\nlisten = [1]\n").expect("written");
        let message = read_file(&path).expect_err("refused").to_string();
        assert!(message.contains("`colour`") && message.contains("`listen`"));
    }
}
