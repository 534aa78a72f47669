//! Where to compute: chosen when the program runs, out of what was built in.

use std::str::FromStr;

use burn::tensor::{DType, Device};

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

/// The type that convolutions of `dtype` are computed in: f32 where the device would add their
/// products up in 16 bits. burn's flex device does, and so do wgpu's WGSL kernels, which have no
/// matrix units.
pub(crate) fn conv_sums(device: &Device, dtype: DType) -> DType {
    if has_matrix_units(device) {
        dtype
    } else {
        DType::F32
    }
}

/// The same for products of matrices, which the flex device adds up in f32 by itself.
pub(crate) fn matmul_sums(device: &Device, dtype: DType) -> DType {
    if *device == Device::flex() {
        dtype
    } else {
        conv_sums(device, dtype)
    }
}

/// SPIR-V alone has them.
fn has_matrix_units(device: &Device) -> bool {
    cfg!(feature = "vulkan") && *device != Device::flex()
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
