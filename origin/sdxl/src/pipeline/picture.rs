//! Pixels, and their way to tensors and back.

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::RunError;

/// A picture: RGB, 8 bits each, row by row from the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// `3 × width × height` bytes.
    pub rgb: Vec<u8>,
}

/// Which part of a picture to make anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// `width × height` bytes; what is 128 and above is made anew.
    pub values: Vec<u8>,
}

impl Picture {
    /// `[1, 3, height, width]` in −1 … 1.
    pub(crate) fn to_tensor(&self, device: &Device) -> Tensor<4> {
        self.to_unit(device).mul_scalar(2.0).sub_scalar(1.0)
    }

    /// `[1, 3, height, width]` in 0 … 1.
    pub(crate) fn to_unit(&self, device: &Device) -> Tensor<4> {
        self.unit(self.rgb.iter().copied(), 3, device)
    }

    /// `[1, 1, height, width]` in 0 … 1, weighted as Pillow does it (ITU-R BT.601).
    pub(crate) fn to_gray_unit(&self, device: &Device) -> Tensor<4> {
        let (pixels, _) = self.rgb.as_chunks::<3>();
        let gray = pixels.iter().map(|rgb| {
            let [red, green, blue] = rgb.map(u32::from);
            ((19_595 * red + 38_470 * green + 7_471 * blue + 0x8000) >> 16) as u8
        });
        self.unit(gray, 1, device)
    }

    fn unit(&self, bytes: impl Iterator<Item = u8>, channels: usize, device: &Device) -> Tensor<4> {
        let (height, width) = (self.height as usize, self.width as usize);
        let values: Vec<f32> = bytes.map(|byte| f32::from(byte) / 255.0).collect();
        let data = TensorData::new(values, [1, height, width, channels]);
        Tensor::<4>::from_data(data, (device, DType::F32)).permute([0, 3, 1, 2])
    }

    /// Pictures out of `[batch, 3, height, width]`; what is below 0 or above 1 is held to it.
    pub(crate) fn from_unit(pixels: Tensor<4>) -> Result<Vec<Self>, RunError> {
        let [batch, channels, height, width] = pixels.dims();
        // Channels last, as files have them.
        let values = read(pixels.permute([0, 2, 3, 1]).mul_scalar(255.0))?;
        if !values.iter().all(|value| value.is_finite()) {
            return Err(RunError::NotFinite { stage: "VAE" });
        }
        let picture = |values: &[f32]| Self {
            width: width as u32,
            height: height as u32,
            rgb: values.iter().map(|v| v.round_ties_even() as u8).collect(),
        };
        debug_assert_eq!(values.len(), batch * channels * height * width);
        Ok(values
            .chunks(channels * height * width)
            .map(picture)
            .collect())
    }

    pub(super) fn check(&self, field: &'static str, size: [usize; 2]) -> Result<(), RunError> {
        check(field, [self.height, self.width], self.rgb.len(), 3, size)
    }

    /// Whether there are as many bytes as its size says.
    pub(crate) fn is_whole(&self) -> bool {
        is_whole([self.height, self.width], self.rgb.len(), 3)
    }
}

impl Mask {
    /// `[1, 1, height, width]`, 1 where the picture is made anew.
    pub(crate) fn to_tensor(&self, device: &Device) -> Tensor<4> {
        let values: Vec<f32> = self
            .values
            .iter()
            .map(|value| if *value >= 128 { 1.0 } else { 0.0 })
            .collect();
        let data = TensorData::new(values, [1, 1, self.height as usize, self.width as usize]);
        Tensor::from_data(data, (device, DType::F32))
    }

    pub(super) fn check(&self, field: &'static str, size: [usize; 2]) -> Result<(), RunError> {
        check(field, [self.height, self.width], self.values.len(), 1, size)
    }
}

fn check(
    field: &'static str,
    [height, width]: [u32; 2],
    bytes: usize,
    each: usize,
    [wanted_height, wanted_width]: [usize; 2],
) -> Result<(), RunError> {
    let is_size = (height as usize, width as usize) == (wanted_height, wanted_width);
    if is_size && is_whole([height, width], bytes, each) {
        return Ok(());
    }
    Err(RunError::Invalid {
        field,
        message: format!(
            "must be {wanted_width}×{wanted_height} like the run, not {width}×{height} with \
             {bytes} bytes"
        ),
    })
}

/// Whether there are `each` bytes for every pixel, however many a size claims.
fn is_whole([height, width]: [u32; 2], bytes: usize, each: usize) -> bool {
    let pixels = (height as usize).checked_mul(width as usize);
    pixels.and_then(|pixels| pixels.checked_mul(each)) == Some(bytes)
}

/// Brings a tensor back from the device.
pub(crate) fn read<const D: usize>(x: Tensor<D>) -> Result<Vec<f32>, RunError> {
    x.try_into_vec_as::<f32>()
        .map_err(|error| RunError::Device(format!("{error:?}")))
}
