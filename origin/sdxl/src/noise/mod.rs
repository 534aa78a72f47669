//! The noise a seed stands for.
//!
//! Unless told otherwise it is [`normal`]'s: the same numbers on every device and machine,
//! whatever else is drawn. By option it is that of PyTorch's generators, so that a seed means the
//! picture that it means in diffusers ([`NoiseSource::TorchCpu`]) or in A1111's web UI
//! ([`NoiseSource::TorchCuda`]).

mod philox;
mod stream;
mod torch_cpu;
mod torch_cuda;

pub use philox::normal;
pub use stream::NoiseSource;
pub(crate) use stream::{Draw, NoiseStream};
pub use torch_cpu::TorchCpuGenerator;
pub use torch_cuda::TorchCudaGenerator;
