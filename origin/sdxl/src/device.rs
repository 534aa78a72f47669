//! Where to compute: chosen when the program runs, out of what was built in.

use std::str::FromStr;

use burn::tensor::Device;

use crate::LoadError;

/// What the user asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceKind {
    /// The GPU where this build has GPU support, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU; an error in a build without GPU support.
    Gpu,
}

impl FromStr for DeviceKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "gpu" => Ok(Self::Gpu),
            other => Err(format!("`{other}` is not one of auto, cpu, gpu")),
        }
    }
}

impl DeviceKind {
    /// Picks the device.
    ///
    /// # Errors
    /// [`LoadError::Device`] where a GPU is asked for and this build has no support for one.
    pub fn select(self) -> Result<Device, LoadError> {
        match self {
            Self::Cpu => Ok(Device::flex()),
            Self::Gpu => gpu().ok_or_else(|| {
                LoadError::Device(
                    "this build has no GPU support; build with `--features gpu`, or with \
                     `--features vulkan` for Vulkan hardware"
                        .to_owned(),
                )
            }),
            Self::Auto => Ok(gpu().unwrap_or_else(Device::flex)),
        }
    }
}

/// SPIR-V where it was built in, else whatever wgpu finds best.
#[cfg(feature = "vulkan")]
fn gpu() -> Option<Device> {
    Some(Device::vulkan(burn::tensor::DeviceKind::DefaultDevice))
}

#[cfg(all(feature = "gpu", not(feature = "vulkan")))]
fn gpu() -> Option<Device> {
    Some(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice))
}

#[cfg(not(feature = "gpu"))]
fn gpu() -> Option<Device> {
    None
}
