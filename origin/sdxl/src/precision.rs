//! The type of number that weights are kept and computed in.

use std::str::FromStr;

use burn::tensor::{DType, Device};

use crate::LoadError;

/// A type of number (diffusers' `torch_dtype`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits; up to 65,504, which the VAE of SDXL goes beyond.
    F16,
    /// 16 bits, with the range of 32 and a third of their digits.
    Bf16,
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "f32" => Ok(Self::F32),
            "f16" => Ok(Self::F16),
            "bf16" => Ok(Self::Bf16),
            other => Err(format!("`{other}` is not one of f32, f16, bf16")),
        }
    }
}

impl Precision {
    /// As burn calls it.
    #[must_use]
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }

    /// The same, where the device computes in it.
    ///
    /// # Errors
    /// [`LoadError::Device`].
    pub(crate) fn on(self, device: &Device) -> Result<DType, LoadError> {
        if device.supports_dtype(self.dtype()) {
            return Ok(self.dtype());
        }
        Err(LoadError::Device(format!(
            "the device does not compute in {self:?}; take --dtype f32, or f16 where it has that"
        )))
    }
}
