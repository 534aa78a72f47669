//! What diffusers writes into a LoRA's header: peft's configuration of each network.

use serde_json::{Map, Value};

use super::names::Network;
use crate::LoadError;
use crate::weights::SafetensorsFile;

/// Settings under `NETWORK.NAME`, where the file has any.
#[derive(Debug, Default)]
pub(super) struct Metadata(Map<String, Value>);

impl Metadata {
    /// Reads a file's.
    ///
    /// # Errors
    /// [`LoadError::Unsupported`] for settings that are not understood here.
    pub fn read(file: &SafetensorsFile) -> Result<Self, LoadError> {
        let Some(text) = file.metadata("lora_adapter_metadata") else {
            return Ok(Self::default());
        };
        let unsupported = |what: String| LoadError::Unsupported {
            path: file.path().to_owned(),
            what,
        };
        let settings: Map<String, Value> = serde_json::from_str(text)
            .map_err(|error| unsupported(format!("its lora_adapter_metadata ({error})")))?;
        for (name, value) in &settings {
            let is_set = match value {
                Value::Bool(is_on) => *is_on,
                Value::Object(pattern) => !pattern.is_empty(),
                _ => false,
            };
            let setting = name.rsplit('.').next().unwrap_or_default();
            if is_set && matches!(setting, "use_dora" | "alpha_pattern" | "rank_pattern") {
                return Err(unsupported(format!("its {name} of {value}")));
            }
        }
        Ok(Self(settings))
    }

    /// What alpha ÷ rank is for a network whose tensors do not say it.
    pub fn scale(&self, network: Network) -> f64 {
        let network = match network {
            Network::Unet => "unet",
            Network::TextEncoder => "text_encoder",
            Network::TextEncoder2 => "text_encoder_2",
        };
        let get = |name: &str| self.0.get(&format!("{network}.{name}"));
        let number = |name| get(name).and_then(Value::as_f64);
        let (Some(alpha), Some(rank)) = (number("lora_alpha"), number("r")) else {
            return 1.0;
        };
        let stable = get("use_rslora").and_then(Value::as_bool) == Some(true);
        alpha / if stable { rank.sqrt() } else { rank }
    }
}
