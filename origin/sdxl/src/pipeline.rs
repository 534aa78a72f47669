//! A checkpoint, whole: from a prompt to pixels (`StableDiffusionXLPipeline`).

use std::ops::ControlFlow;
use std::path::Path;

use burn::tensor::{Device, Tensor};
use serde::Deserialize;

use crate::denoise::{Guided, StepDone, denoise};
use crate::noise::normal_tensor;
use crate::scheduler::{Plan, SchedulerClass, SchedulerConfig, SchedulerError};
use crate::text::{PromptEmbeddings, PromptEncoder, Prompts};
use crate::unet::{Conditioning, UNet2DConditionModel};
use crate::vae::AutoencoderKL;
use crate::weights::read_json;
use crate::{DeviceKind, LoadError, RunError};

/// A text-to-image run.
#[derive(Clone, Debug)]
pub struct TextToImage {
    /// What to show.
    pub prompt: String,
    /// What not to show; `None` is not the same as an empty text
    /// ([`PromptEncoder::encode`]).
    pub negative_prompt: Option<String>,
    /// Pixels, a multiple of 8.
    pub width: u32,
    /// Pixels, a multiple of 8.
    pub height: u32,
    /// Denoising steps.
    pub steps: u32,
    /// Classifier-free guidance; 1 and below is without.
    pub guidance_scale: f64,
    /// One of [`Pipeline::SCHEDULERS`].
    pub scheduler: String,
    /// Decides the noise: see [`crate::noise`].
    pub seed: u64,
}

/// What a checkpoint does unless told.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Defaults {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Denoising steps.
    pub steps: u32,
    /// Classifier-free guidance.
    pub guidance_scale: f64,
    /// One of [`Pipeline::SCHEDULERS`].
    pub scheduler: String,
}

/// A finished picture: RGB, 8 bits each, row by row from the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// `3 × width × height` bytes.
    pub rgb: Vec<u8>,
}

/// `model_index.json`, as far as it matters here.
#[derive(Deserialize)]
struct ModelIndex {
    #[serde(default = "yes")]
    force_zeros_for_empty_prompt: bool,
}

const fn yes() -> bool {
    true
}

/// `darkroom.json`, which a checkpoint may have beside `model_index.json`.
#[derive(Deserialize)]
struct Manifest {
    defaults: Defaults,
}

/// A loaded checkpoint on a device. Runs share its weights and nothing else, so that they can
/// go side by side from several threads.
#[derive(Debug)]
pub struct Pipeline {
    prompts: PromptEncoder,
    unet: UNet2DConditionModel,
    vae: AutoencoderKL,
    scheduler: SchedulerConfig,
    defaults: Defaults,
}

impl Pipeline {
    /// Names for [`TextToImage::scheduler`]. What a name leaves open (betas, spacing, what the
    /// UNet predicts) is the checkpoint's.
    pub const SCHEDULERS: &'static [&'static str] =
        &["euler", "euler_karras", "dpmpp_2m", "dpmpp_2m_karras"];

    /// Loads a folder in diffusers' layout.
    ///
    /// # Errors
    /// What is wrong with the first part that cannot be loaded.
    pub fn load(folder: &Path, device: DeviceKind) -> Result<Self, LoadError> {
        Self::load_on(folder, &device.select()?)
    }

    pub(crate) fn load_on(folder: &Path, device: &Device) -> Result<Self, LoadError> {
        let index: ModelIndex = read_json(&folder.join("model_index.json"))?;
        let part = |name: &str| folder.join(name);
        let (te1, te2) = (part("text_encoder"), part("text_encoder_2"));
        let (tok1, tok2) = (part("tokenizer"), part("tokenizer_2"));
        let prompts = PromptEncoder::load(
            &[(&te1, &tok1), (&te2, &tok2)],
            index.force_zeros_for_empty_prompt,
            device,
        )?;
        let unet = UNet2DConditionModel::load_folder(&part("unet"), device)?;
        let vae = AutoencoderKL::load_folder(&part("vae"), device)?;
        let scheduler = read_json(&part("scheduler").join("scheduler_config.json"))?;
        let manifest = part("darkroom.json");
        let defaults = if manifest.is_file() {
            read_json::<Manifest>(&manifest)?.defaults
        } else {
            defaults_of(&unet, &vae)
        };
        Ok(Self {
            prompts,
            unet,
            vae,
            scheduler,
            defaults,
        })
    }

    /// What it does unless told.
    #[must_use]
    pub fn defaults(&self) -> Defaults {
        self.defaults.clone()
    }

    /// The device, in words.
    #[must_use]
    pub fn device(&self) -> String {
        format!("{:?}", self.unet.device())
    }

    /// Makes one picture. `on_step` is called after every step; breaking ends the run.
    ///
    /// # Errors
    /// [`RunError::Invalid`] for a value the checkpoint does not take, [`RunError::Canceled`]
    /// when `on_step` breaks, [`RunError::NotFinite`] instead of a black picture.
    pub fn text_to_image(
        &self,
        run: &TextToImage,
        on_step: &mut dyn FnMut(StepDone) -> ControlFlow<()>,
    ) -> Result<Picture, RunError> {
        let plan = self.plan(run)?;
        let shape = self.latent_shape(run)?;
        let (positive, negative) = self.prompts.encode(&Prompts {
            prompt: vec![run.prompt.clone()],
            negative_prompt: run.negative_prompt.clone().map(|text| vec![text]),
            ..Prompts::default()
        })?;
        let size = [run.height as f32, run.width as f32];
        let time_ids = vec![[size, [0.0, 0.0], size].concat()];
        let condition = |text: PromptEmbeddings| Conditioning {
            context: text.context,
            pooled: text.pooled,
            time_ids: time_ids.clone(),
        };
        let guided = Guided::new(
            &self.unet,
            condition(positive),
            &condition(negative),
            run.guidance_scale,
            0.0,
        );
        let mut draws = 0..;
        let mut noise = || {
            let draw = draws.next().unwrap_or(u32::MAX);
            normal_tensor(run.seed, draw, shape, self.unet.device())
        };
        let start = noise().mul_scalar(plan.init_noise_sigma);
        let latents = denoise(&guided, &plan, start, &mut noise, &mut |done, _| {
            on_step(done)
        })?;
        self.decode(latents)
    }

    fn plan(&self, run: &TextToImage) -> Result<Plan, RunError> {
        let (class, karras) = match run.scheduler.as_str() {
            "euler" => (SchedulerClass::EulerDiscreteScheduler, false),
            "euler_karras" => (SchedulerClass::EulerDiscreteScheduler, true),
            "dpmpp_2m" => (SchedulerClass::DPMSolverMultistepScheduler, false),
            "dpmpp_2m_karras" => (SchedulerClass::DPMSolverMultistepScheduler, true),
            other => {
                return Err(RunError::Invalid {
                    field: "scheduler",
                    message: format!("`{other}` is not one of {}", Self::SCHEDULERS.join(", ")),
                });
            }
        };
        let mut config = self.scheduler.clone();
        config.use_karras_sigmas = karras;
        config.plan(class, run.steps as usize).map_err(|error| {
            let field = match error {
                SchedulerError::Steps { .. } => "steps",
                SchedulerError::Unsupported(_) => "scheduler",
            };
            RunError::Invalid {
                field,
                message: error.to_string(),
            }
        })
    }

    /// `[channels, height, width]` of the latents.
    fn latent_shape(&self, run: &TextToImage) -> Result<[usize; 3], RunError> {
        let scale = self.vae.config().scale();
        let side = |field, pixels: u32| {
            let pixels = pixels as usize;
            if pixels == 0 || !pixels.is_multiple_of(scale) {
                return Err(RunError::Invalid {
                    field,
                    message: format!("must be a multiple of {scale} above 0, not {pixels}"),
                });
            }
            Ok(pixels / scale)
        };
        let (height, width) = (side("height", run.height)?, side("width", run.width)?);
        Ok([self.vae.config().latent_channels, height, width])
    }

    /// One picture out of finished latents `[1, channels, height, width]`.
    fn decode(&self, latents: Tensor<4>) -> Result<Picture, RunError> {
        require_finite(latents.clone(), "denoiser")?;
        let pixels = self.decode_unit(latents);
        let [_, channels, height, width] = pixels.dims();
        // Channels last, as files have them.
        let pixels = pixels.permute([0, 2, 3, 1]).mul_scalar(255.0);
        let values = read(pixels)?;
        if !values.iter().all(|value| value.is_finite()) {
            return Err(RunError::NotFinite { stage: "VAE" });
        }
        debug_assert_eq!(values.len(), channels * height * width);
        Ok(Picture {
            width: width as u32,
            height: height as u32,
            rgb: values
                .into_iter()
                .map(|value| value.round_ties_even() as u8)
                .collect(),
        })
    }

    /// Pixels in 0 … 1, `[batch, 3, height, width]`.
    pub(crate) fn decode_unit(&self, latents: Tensor<4>) -> Tensor<4> {
        let unscaled = latents.div_scalar(self.vae.config().scaling_factor);
        self.vae
            .decode(unscaled)
            .div_scalar(2.0)
            .add_scalar(0.5)
            .clamp(0.0, 1.0)
    }

    pub(crate) fn prompts(&self) -> &PromptEncoder {
        &self.prompts
    }

    pub(crate) fn unet(&self) -> &UNet2DConditionModel {
        &self.unet
    }
}

/// For a checkpoint without a manifest: the size it was trained for, and customary values.
fn defaults_of(unet: &UNet2DConditionModel, vae: &AutoencoderKL) -> Defaults {
    let side = unet.config().sample_size.unwrap_or(128) * vae.config().scale();
    Defaults {
        width: side as u32,
        height: side as u32,
        steps: 30,
        guidance_scale: 5.0,
        scheduler: "euler".to_owned(),
    }
}

fn require_finite(x: Tensor<4>, stage: &'static str) -> Result<(), RunError> {
    if read(x)?.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    Err(RunError::NotFinite { stage })
}

/// Brings a tensor back from the device.
pub(crate) fn read<const D: usize>(x: Tensor<D>) -> Result<Vec<f32>, RunError> {
    x.try_into_vec_as::<f32>()
        .map_err(|error| RunError::Device(format!("{error:?}")))
}
