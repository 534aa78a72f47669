//! A checkpoint, whole: from words and pictures to pictures.
//!
//! [`Pipeline::load`] brings a checkpoint to a device (`load`). What a run is asked for is a [`Run`];
//! `prepare` makes of it everything before the first step (its `range` of the schedule, conditioning,
//! the latents to `begin` with), `denoise` takes the steps, and the VAE decodes.

mod begin;
mod control;
mod denoise;
mod load;
mod picture;
mod prepare;
mod preview;
mod range;
mod run;
mod state;
mod text;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Instant;

use burn::tensor::{DType, Tensor};
use serde_json::{Map, Value};

use crate::control::ControlModel;
use crate::lora::{Lora, LoraTarget, TargetLayers};
use crate::model::{Defaults, ModelIndex, Network, Part};
use crate::noise::NoiseStream;
use crate::scheduler::NAMES;
use crate::text::PromptEncoder;
use crate::unet::UNet2DConditionModel;
use crate::vae::{AutoencoderKL, AutoencoderTiny};
use crate::weights::Target;
use crate::{LoadError, RunError};
pub(crate) use denoise::{Prepared, denoise};
pub use load::{LoadOptions, LoadProgress};
pub(crate) use picture::read;
pub use picture::{Mask, Picture};
use preview::PreviewFactors;
pub use run::{Control, GuidanceOptions, Run, Sizes, Start};
pub(crate) use state::Resumed;
pub use state::{Latents, RunState};
pub use text::RunText;

/// A loaded checkpoint on a device. Runs share its weights and nothing else, so that they can
/// go side by side from several threads.
#[derive(Debug)]
pub struct Pipeline {
    prompts: PromptEncoder,
    unet: Part<UNet2DConditionModel>,
    vae: Part<AutoencoderKL>,
    taesd: Option<Part<AutoencoderTiny>>,
    index: ModelIndex,
    scheduler: Map<String, Value>,
    default_scheduler: &'static str,
    defaults: Option<Defaults>,
    /// Fitted at the first preview.
    preview: OnceLock<PreviewFactors>,
}

/// One step is done.
pub struct StepDone<'a> {
    /// Steps done of the present picture, from 1.
    pub step: u32,
    /// Steps of a picture.
    pub steps: u32,
    /// Which picture, from 0.
    pub image: u32,
    /// When the device had done all that comes before the present picture's first step.
    pub prepared: Instant,
    pipeline: &'a Pipeline,
    done: usize,
    run: &'a Resumed,
    clean: &'a Tensor<4>,
}

impl StepDone<'_> {
    /// What the picture will look like as far as can be said now: an eighth of its size, or its
    /// own where TAESD was loaded ([`LoadOptions::taesd`]).
    ///
    /// # Errors
    /// [`RunError::Device`], [`RunError::NotFinite`].
    pub fn preview(&self) -> Result<Picture, RunError> {
        self.pipeline.preview(self.clean.clone())
    }

    /// Waits until the device has done the step: it may have been told of it, and not more. For who
    /// measures.
    ///
    /// # Errors
    /// [`RunError::Device`].
    pub fn sync(&self) -> Result<(), RunError> {
        self.pipeline.sync()
    }

    /// All that it takes to go on from here ([`Pipeline::resume`]).
    ///
    /// # Errors
    /// [`RunError::Device`].
    pub fn state(&self) -> Result<RunState, RunError> {
        RunState::save(self.image, self.done, self.run)
    }
}

impl Pipeline {
    /// Names for [`Run::scheduler`]. What a name leaves open (betas, spacing, what the UNet
    /// predicts) is the checkpoint's.
    pub const SCHEDULERS: &'static [&'static str] = &NAMES;

    /// What it does unless told: its manifest's word, or the size it was trained for, its own
    /// scheduler, and customary values.
    #[must_use]
    pub fn defaults(&self) -> Defaults {
        self.defaults.clone().unwrap_or_else(|| {
            let latents = self.unet.config().sample_size.unwrap_or(128);
            let side = (latents * self.vae.config().scale()) as u32;
            Defaults {
                width: side,
                height: side,
                steps: 30,
                guidance_scale: 5.0,
                scheduler: self.default_scheduler.to_owned(),
            }
        })
    }

    /// The device, in words.
    #[must_use]
    pub fn device(&self) -> String {
        format!("{:?}", self.unet.device())
    }

    /// Reads a LoRA for this model, in diffusers', kohya's or SGM's naming.
    ///
    /// # Errors
    /// What is wrong with the file, or that it is for another model.
    pub fn load_lora(&self, path: &Path) -> Result<Lora, LoadError> {
        let parts = self.prompts.parts();
        let text = |second: bool| {
            let part = if second {
                parts.last()
            } else {
                parts.first().filter(|_| parts.len() > 1)
            };
            part.map(|part| target_layers(&part.encoder)).transpose()
        };
        let target = LoraTarget {
            unet: target_layers(&self.unet)?,
            unet_layers: self.unet.config().encoder.layers(),
            text_encoder: text(false)?,
            text_encoder_2: text(true)?,
        };
        Lora::open(path, &target)
    }

    /// Loads a `ControlNet` or a T2I-Adapter for this model, for [`Run::controls`]: a folder in
    /// diffusers' layout, or a file beside its `config.json`. A file without one is taken for a
    /// `ControlNet` as large as the UNet.
    ///
    /// # Errors
    /// What is wrong with the files, or that it is for another model.
    pub fn load_control(&self, path: &Path) -> Result<ControlModel, LoadError> {
        let target = Target::quiet(self.unet.device(), self.unet.dtype());
        ControlModel::open(path, self.steered(), target)
    }

    /// Makes the pictures of a run. `on_step` is called after every step; breaking ends the run.
    ///
    /// # Errors
    /// [`RunError::Invalid`] for a value the checkpoint does not take, [`RunError::Canceled`]
    /// when `on_step` breaks, [`RunError::NotFinite`] instead of a black picture.
    pub fn run(
        &self,
        run: &Run,
        on_step: &mut dyn FnMut(&StepDone<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<Picture>, RunError> {
        self.pictures(run, None, on_step)
    }

    /// Goes on with a run where [`StepDone::state`] was saved, and makes its pictures from that
    /// one on: the same bytes as without a break.
    ///
    /// # Errors
    /// As [`Pipeline::run`]; [`RunError::State`] for a state of another size. A state of
    /// another run of the same size is gone on with as if it were this one's.
    pub fn resume(
        &self,
        run: &Run,
        state: &RunState,
        on_step: &mut dyn FnMut(&StepDone<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<Picture>, RunError> {
        self.pictures(run, Some(state), on_step)
    }

    /// The latents of a run's only picture, for another model to go on with.
    ///
    /// # Errors
    /// As [`Pipeline::run`].
    pub fn latents(
        &self,
        run: &Run,
        on_step: &mut dyn FnMut(&StepDone<'_>) -> ControlFlow<()>,
    ) -> Result<Latents, RunError> {
        let latents = Latents::from_tensor(self.denoised(run, 0, None, on_step)?)?;
        require_finite(&latents.values)?;
        Ok(latents)
    }

    /// Pictures of latents, one each.
    ///
    /// # Errors
    /// [`RunError::Invalid`] for latents of another model, [`RunError::NotFinite`],
    /// [`RunError::Device`].
    pub fn decode(&self, latents: &Latents) -> Result<Vec<Picture>, RunError> {
        let channels = self.vae.config().latent_channels;
        let [batch, found, height, width] = latents.shape;
        if found != channels || batch * height * width == 0 || !latents.is_whole() {
            return Err(RunError::Invalid {
                field: "latents",
                message: format!(
                    "must have {channels} channels, and as many values as their shape says"
                ),
            });
        }
        self.pictures_of(latents.to_tensor(self.unet.device()))
    }

    fn pictures(
        &self,
        run: &Run,
        state: Option<&RunState>,
        on_step: &mut dyn FnMut(&StepDone<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<Picture>, RunError> {
        let mut pictures = Vec::new();
        if state.is_some_and(|state| state.image >= run.images) {
            let message = "it is of a picture that the run does not have";
            return Err(RunError::State(message.to_owned()));
        }
        let first = state.map_or(0, |state| state.image);
        // At least once: what is wrong with a run of no pictures is said like all else.
        for image in first..run.images.max(1) {
            let state = state.filter(|state| state.image == image);
            let latents = self.denoised(run, image, state, on_step)?;
            pictures.extend(self.pictures_of(latents)?);
        }
        Ok(pictures)
    }

    fn denoised(
        &self,
        run: &Run,
        image: u32,
        state: Option<&RunState>,
        on_step: &mut dyn FnMut(&StepDone<'_>) -> ControlFlow<()>,
    ) -> Result<Tensor<4>, RunError> {
        let prompts = text::prompts(run);
        let schedule = self.schedule(run)?;
        let noise = NoiseStream::new(run.noise, run.seed.wrapping_add(image.into()));
        let mut prepared = self.prepare(run, &prompts, &schedule, noise)?;
        let (mut now, begin) = match state {
            None => (Resumed::new(prepared.latents.clone()), 0),
            Some(state) => {
                let (found, wanted) = (state.shape(), prepared.latents.dims());
                if found != wanted || state.done > prepared.plan.steps.len() {
                    return Err(RunError::State(
                        "it is of a run with another size".to_owned(),
                    ));
                }
                let now = state.resume(self.unet.device());
                prepared.skip(state.done, &now);
                (now, state.done)
            }
        };
        // Once a picture, so that the time of words can be told from that of steps.
        self.sync()?;
        let ready = Instant::now();
        let order = prepared.plan.order;
        let steps = prepared.plan.steps.len().div_ceil(order) as u32;
        denoise(&mut prepared, begin, &mut now, &mut |done, now, clean| {
            on_step(&StepDone {
                step: done.div_ceil(order) as u32,
                steps,
                image,
                prepared: ready,
                pipeline: self,
                done,
                run: now,
                clean,
            })
        })?;
        Ok(now.latents)
    }

    /// Pictures out of finished latents `[batch, channels, height, width]`.
    fn pictures_of(&self, latents: Tensor<4>) -> Result<Vec<Picture>, RunError> {
        require_finite(&read(latents.clone())?)?;
        Picture::from_unit(self.decode_free(latents)?)
    }

    /// Pixels in 0 … 1, `[batch, 3, height, width]`.
    pub(crate) fn decode_unit(&self, latents: Tensor<4>) -> Result<Tensor<4>, RunError> {
        Ok(self.decode_free(latents)?.clamp(0.0, 1.0))
    }

    /// The same, not yet held to their range: what is not finite can still be seen.
    fn decode_free(&self, latents: Tensor<4>) -> Result<Tensor<4>, RunError> {
        let unscaled = latents.div_scalar(self.vae.config().scaling_factor);
        let vae = self.vae.network()?;
        Ok(to_unit(vae.decode(unscaled.cast(self.vae.dtype()))))
    }

    /// Waits until the device has done all that it was given.
    fn sync(&self) -> Result<(), RunError> {
        let done = self.unet.device().sync();
        done.map_err(|error| RunError::Device(error.to_string()))
    }

    fn preview(&self, clean: Tensor<4>) -> Result<Picture, RunError> {
        if let Some(taesd) = &self.taesd {
            let network = taesd.network()?;
            let unscaled = clean
                .narrow(0, 0, 1)
                .div_scalar(network.config().scaling_factor);
            let pixels = network.decode(unscaled.cast(network.dtype()));
            return first(Picture::from_unit(to_unit(pixels))?);
        }
        let factors = if let Some(factors) = self.preview.get() {
            factors
        } else {
            let fitted = PreviewFactors::fit(&*self.vae.network()?, self.unet.device())?;
            self.preview.get_or_init(|| fitted)
        };
        factors.picture(clean)
    }

    pub(crate) fn prompts(&self) -> &PromptEncoder {
        &self.prompts
    }
}

/// Pixels in −1 … 1 to such in 0 … 1.
fn to_unit(pixels: Tensor<4>) -> Tensor<4> {
    pixels.cast(DType::F32).div_scalar(2.0).add_scalar(0.5)
}

/// The only picture there is.
fn first(pictures: Vec<Picture>) -> Result<Picture, RunError> {
    let first = pictures.into_iter().next();
    first.ok_or(RunError::NotFinite { stage: "preview" })
}

fn require_finite(latents: &[f32]) -> Result<(), RunError> {
    if latents.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    Err(RunError::NotFinite { stage: "denoiser" })
}

fn target_layers<N: Network>(part: &Part<N>) -> Result<TargetLayers<'_>, LoadError> {
    Ok(TargetLayers {
        shapes: part.shapes()?,
        device: part.device(),
        dtype: part.dtype(),
    })
}
