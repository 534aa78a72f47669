//! The noise of one run.

use std::str::FromStr;

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::{TorchCpuGenerator, TorchCudaGenerator, normal};

/// Who draws the noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoiseSource {
    /// [`normal`], by draw: the n-th draw does not depend on those before it.
    #[default]
    Philox,
    /// PyTorch's generator on the CPU, one draw after the other as diffusers makes them.
    TorchCpu,
    /// PyTorch's generator on CUDA devices, one draw after the other.
    TorchCuda,
}

impl FromStr for NoiseSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "philox" => Ok(Self::Philox),
            "torch-cpu" => Ok(Self::TorchCpu),
            "torch-cuda" => Ok(Self::TorchCuda),
            other => Err(format!(
                "`{other}` is not one of philox, torch-cpu, torch-cuda"
            )),
        }
    }
}

/// What a draw is for. Each has a number of its own, whatever the run draws besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Draw {
    /// The latents that a run begins with, or the noise added to a picture's.
    Start,
    /// The VAE's sample of the picture.
    Image,
    /// The VAE's sample of the picture without what the mask covers.
    Masked,
    /// The evaluation with that number, from 0, of the whole schedule.
    Step(usize),
}

impl Draw {
    fn number(self) -> u32 {
        match self {
            Self::Start => 0,
            Self::Image => 1,
            Self::Masked => 2,
            Self::Step(step) => u32::try_from(step + 3).unwrap_or(u32::MAX),
        }
    }
}

/// Unit noise for one run of one picture.
#[derive(Debug)]
pub(crate) enum NoiseStream {
    Philox(u64),
    TorchCpu(Box<TorchCpuGenerator>),
    TorchCuda(TorchCudaGenerator),
    /// Noise that was drawn elsewhere, in the order in which it is wanted.
    Tape(std::vec::IntoIter<Tensor<4>>),
}

impl NoiseStream {
    pub fn new(source: NoiseSource, seed: u64) -> Self {
        match source {
            NoiseSource::Philox => Self::Philox(seed),
            NoiseSource::TorchCpu => Self::TorchCpu(Box::new(TorchCpuGenerator::new(seed))),
            NoiseSource::TorchCuda => Self::TorchCuda(TorchCudaGenerator::new(seed)),
        }
    }

    /// Whether it was drawn elsewhere.
    pub fn is_tape(&self) -> bool {
        matches!(self, Self::Tape(_))
    }

    /// Noise `[batch, channels, height, width]` in f32; a tape that is too short gives zeros.
    pub fn draw(&mut self, draw: Draw, shape: [usize; 4], device: &Device) -> Tensor<4> {
        let count = shape.iter().product();
        let numbers = match self {
            Self::Philox(seed) => normal(*seed, draw.number(), count),
            Self::TorchCpu(generator) => generator.randn(count),
            Self::TorchCuda(generator) => generator.randn(count),
            Self::Tape(tape) => {
                return tape
                    .next()
                    .unwrap_or_else(|| Tensor::zeros(shape, (device, DType::F32)));
            }
        };
        Tensor::from_data(TensorData::new(numbers, shape), (device, DType::F32))
    }
}
