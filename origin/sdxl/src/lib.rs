//! Stable Diffusion XL on [burn](https://burn.dev): diffusers checkpoints in, pictures out.
//!
//! [`Pipeline::load`] reads a folder as diffusers lays it out; [`Pipeline::text_to_image`] goes
//! prompt → [`text`] → denoising ([`unet`], stepped by a [`scheduler`] plan, from [`noise`]
//! that the seed decides) → [`vae`] → pixels. Everything is sized by the checkpoint's
//! `config.json` files, and carries diffusers' names. [`parity`] compares every stage with
//! tensors that diffusers made.
//!
//! ```no_run
//! use std::{ops::ControlFlow, path::Path};
//! use darkroom_sdxl::{DeviceKind, Pipeline, TextToImage};
//!
//! let pipeline = Pipeline::load(Path::new("model"), DeviceKind::Auto)?;
//! let defaults = pipeline.defaults();
//! let picture = pipeline.text_to_image(
//!     &TextToImage {
//!         prompt: "a red circle on a blue background".to_owned(),
//!         negative_prompt: None,
//!         width: defaults.width,
//!         height: defaults.height,
//!         steps: defaults.steps,
//!         guidance_scale: defaults.guidance_scale,
//!         scheduler: defaults.scheduler,
//!         seed: 7,
//!     },
//!     &mut |_step| ControlFlow::Continue(()),
//! )?;
//! assert_eq!(picture.rgb.len(), 3 * (picture.width * picture.height) as usize);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod denoise;
mod device;
mod error;
mod nn;
pub mod noise;
pub mod parity;
mod pipeline;
pub mod scheduler;
pub mod text;
pub mod unet;
pub mod vae;
mod weights;

pub use denoise::StepDone;
pub use device::DeviceKind;
pub use error::{LoadError, RunError};
pub use pipeline::{Defaults, Picture, Pipeline, TextToImage};

/// Version of the numerics: changed whenever an equal run would make other bytes.
pub const NUMERICS: &str = "darkroom-sdxl/1";
