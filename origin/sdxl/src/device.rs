//! Where to compute: chosen when the program runs, out of what was built in.

use std::str::FromStr;

use burn::tensor::Device;

use crate::LoadError;

/// What the user asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceKind {
    /// The GPU where this build has support for one and finds one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU; an error where there is none.
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
    /// [`LoadError::Device`] where a GPU is asked for and there is none.
    pub fn select(self) -> Result<Device, LoadError> {
        match self {
            Self::Cpu => Ok(Device::flex()),
            Self::Gpu => gpu().ok_or_else(|| LoadError::Device(NO_GPU.to_owned())),
            Self::Auto => Ok(gpu().unwrap_or_else(Device::flex)),
        }
    }
}

/// What a device does with sums of products of 16 bits: whether it adds them up in 32. wgpu's WGSL
/// kernels do not: that is the matrix units', which only SPIR-V has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sums {
    /// In convolutions.
    pub conv: bool,
    /// In products of matrices.
    pub matmul: bool,
}

impl Sums {
    pub fn on(device: &Device) -> Self {
        let is_cpu = *device == Device::flex();
        let has_matrix_units = !is_cpu && cfg!(feature = "vulkan");
        Self {
            conv: has_matrix_units,
            matmul: is_cpu || has_matrix_units,
        }
    }
}

#[cfg(not(feature = "wgpu"))]
const NO_GPU: &str = "this build has no GPU support; build with `--features gpu`, or with \
                      `--features vulkan` for Vulkan hardware";
#[cfg(feature = "wgpu")]
const NO_GPU: &str = "no GPU was found; look at its driver, or take `--device cpu`";

/// SPIR-V kernels where they were built in.
#[cfg(feature = "vulkan")]
fn gpu() -> Option<Device> {
    use burn::tensor::{DeviceKind, DeviceType};
    let found = !Device::enumerate(DeviceType::Vulkan).is_empty();
    found.then(|| Device::vulkan(DeviceKind::DefaultDevice))
}

/// Whatever wgpu finds best.
#[cfg(all(feature = "wgpu", not(feature = "vulkan")))]
fn gpu() -> Option<Device> {
    use burn::tensor::{DeviceKind, DeviceType};
    let found = !Device::enumerate(DeviceType::Wgpu).is_empty();
    found.then(|| Device::wgpu(DeviceKind::DefaultDevice))
}

#[cfg(not(feature = "wgpu"))]
fn gpu() -> Option<Device> {
    None
}
