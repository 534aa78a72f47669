//! Stable Diffusion XL on [burn](https://burn.dev): diffusers checkpoints in, pictures out.
//!
//! [`Pipeline::load`] reads a checkpoint: a folder as diffusers lays it out, or a single file.
//! [`Pipeline::run`] goes prompt → [`text`] → denoising (the UNet, stepped by a [`scheduler`]'s plan,
//! from [`noise`] that the seed decides, or from a picture) → VAE → pixels. Everything is
//! sized by the checkpoint's `config.json` files, and carries diffusers' names. [`parity`] compares
//! every stage with tensors that diffusers made.
//!
//! ```no_run
//! use std::{ops::ControlFlow, path::Path};
//! use darkroom_sdxl::{LoadOptions, Pipeline, Run};
//!
//! let pipeline = Pipeline::load(Path::new("model"), LoadOptions::default())?;
//! let run = Run {
//!     seed: 7,
//!     ..pipeline.defaults().run("a red circle on a blue background")
//! };
//! let pictures = pipeline.run(&run, &mut |_step| ControlFlow::Continue(()))?;
//! assert_eq!(pictures[0].rgb.len(), 3 * (run.width * run.height) as usize);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod control;
mod device;
mod elimination;
mod error;
mod lora;
mod model;
mod nn;
pub mod noise;
pub mod parity;
mod pipeline;
mod precision;
pub mod scheduler;
pub mod text;
mod unet;
mod vae;
mod weights;

pub use control::ControlModel;
pub use device::DeviceKind;
pub use error::{LoadError, RunError};
pub use lora::Lora;
pub use model::Defaults;
pub use pipeline::{
    Control, GuidanceOptions, Latents, LoadOptions, LoadProgress, Mask, Picture, Pipeline, Run,
    RunState, RunText, Sizes, Start, StepDone,
};
pub use precision::Precision;

/// Version of the numerics: changed whenever an equal run would make other bytes.
pub const NUMERICS: &str = "darkroom-sdxl/4";
