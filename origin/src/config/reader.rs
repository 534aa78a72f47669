//! Reads settings one by one, from wherever each stands.

use std::path::Path;

use darkroom_shared::signature::Secret;
use tracing_subscriber::EnvFilter;

use super::layers::Layers;
use super::settings::{self, Setting};
use crate::database::Address;

/// Reads settings one by one and gathers what is wrong.
pub(super) struct Reader<'a> {
    pub(super) layers: &'a Layers,
    /// A line for each.
    pub(super) wrong: Vec<String>,
}

impl Reader<'_> {
    pub(super) fn parse<T>(
        &mut self,
        setting: &Setting,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match self.layers.find(setting) {
            Some(_) => self.optional(setting, read),
            None => read(setting.default).ok(),
        }
    }

    pub(super) fn optional<T>(
        &mut self,
        setting: &Setting,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.checked(setting, |text| format!(" is `{text}`"), read)
    }

    /// The same for values that must not be shown.
    pub(super) fn optional_secret<T>(
        &mut self,
        setting: &Setting,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.checked(setting, |_| String::new(), read)
    }

    /// A value, or what is wrong with it, `shown` as it may be.
    fn checked<T>(
        &mut self,
        setting: &Setting,
        shown: impl FnOnce(&str) -> String,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (text, source) = self.layers.find(setting)?;
        read(text)
            .map_err(|remedy| {
                let (name, shown) = (setting.name, shown(text));
                self.wrong
                    .push(format!("{name} ({source}){shown}: {remedy}"));
            })
            .ok()
    }

    pub(super) fn secrets(&mut self) -> Option<Vec<Secret>> {
        let setting = &settings::ORIGIN_SECRETS;
        if self.layers.find(setting).is_none() {
            self.wrong.push(format!(
                "{} is not set: write `id:secret`, the same as the edge's, the secret from \
                 `openssl rand -hex 32`, say",
                setting.name
            ));
        }
        self.optional_secret(setting, |text| {
            Secret::parse_list(text).map_err(|error| error.to_string())
        })
    }

    pub(super) fn database(&mut self, data_dir: Option<&Path>) -> Option<Address> {
        let setting = &settings::DATABASE_URL;
        if self.layers.find(setting).is_none() {
            return data_dir.map(|folder| Address::file(folder.join("darkroom.db")));
        }
        self.optional_secret(setting, |text| {
            Address::parse(text).map_err(|error| error.to_string())
        })
    }

    pub(super) fn log(&mut self) -> Option<String> {
        let check = |text: &str| match EnvFilter::try_new(text) {
            Ok(_) => Ok(text.to_owned()),
            Err(error) => Err(format!(
                "{error}; write `info` or `info,darkroom_origin=debug`"
            )),
        };
        let rust_log = Setting {
            name: "RUST_LOG",
            ..settings::LOG
        };
        match self.layers.find(&settings::LOG) {
            None => self.parse(&rust_log, check),
            Some(_) => self.parse(&settings::LOG, check),
        }
    }
}
