//! The configurations that SDXL's models were published with, for checkpoints that come as a
//! single file and bring none.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::config::Configuration;
use super::files::ModelIndex;
use crate::LoadError;
use crate::weights::parse_json;

/// Which model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Published {
    /// SDXL base 1.0, and whatever was trained from it.
    Base,
    /// SDXL refiner 1.0.
    Refiner,
}

impl Published {
    fn all(self) -> &'static str {
        match self {
            Self::Base => include_str!("../../assets/sdxl-base.json"),
            Self::Refiner => include_str!("../../assets/sdxl-refiner.json"),
        }
    }

    /// What stands under a name; an empty object where nothing does.
    pub fn part(self, name: &str) -> Map<String, Value> {
        let all: Value = serde_json::from_str(self.all()).unwrap_or_default();
        all.get(name)
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default()
    }

    /// A network's configuration.
    ///
    /// # Errors
    /// As [`Configuration::parse`].
    pub fn config<C: Configuration>(self, part: &str) -> Result<C, LoadError> {
        let (text, path) = self.text(part);
        C::parse(&text, &path)
    }

    /// `model_index.json`.
    ///
    /// # Errors
    /// As [`parse_json`].
    pub fn index(self) -> Result<ModelIndex, LoadError> {
        let (text, path) = self.text("model_index");
        parse_json(&text, &path)
    }

    /// What stands under a name, and what errors call it.
    fn text(self, part: &str) -> (String, PathBuf) {
        let text = Value::Object(self.part(part)).to_string();
        (text, format!("built-in {part} of {self:?}").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::ClipTextConfig;
    use crate::unet::UNetConfig;
    use crate::vae::VaeConfig;

    #[test]
    fn every_part_of_every_model_can_be_read() {
        for model in [Published::Base, Published::Refiner] {
            model.config::<UNetConfig>("unet").expect("a UNet");
            model.config::<VaeConfig>("vae").expect("a VAE");
            model
                .config::<ClipTextConfig>("text_encoder_2")
                .expect("an encoder");
            assert!(model.part("scheduler").contains_key("_class_name"));
            model.index().expect("an index");
        }
        Published::Base
            .config::<ClipTextConfig>("text_encoder")
            .expect("an encoder");
    }
}
