//! What a run is asked for. Names are those of diffusers' keyword arguments.

use std::sync::Arc;

use super::picture::{Mask, Picture};
use super::state::Latents;
use super::text::RunText;
use crate::control::ControlModel;
use crate::lora::Lora;
use crate::model::Defaults;
use crate::noise::NoiseSource;
use crate::scheduler::{Steps, TimestepSpacing};
use crate::text::PromptSyntax;

/// A run: from words, and perhaps a picture, to pictures.
///
/// [`Defaults::run`] gives one with everything but the prompt filled in.
#[derive(Clone, Debug)]
pub struct Run {
    /// What to show.
    pub prompt: String,
    /// The same for the second text encoder, where it differs.
    pub prompt_2: Option<String>,
    /// What not to show. `None` is not the same as an empty text: where the checkpoint says
    /// `force_zeros_for_empty_prompt` it is no text at all.
    pub negative_prompt: Option<String>,
    /// The same for the second text encoder, where it differs.
    pub negative_prompt_2: Option<String>,
    /// How the texts are read.
    pub syntax: PromptSyntax,
    /// Layers to leave out at the end of each text encoder, beyond the last one.
    pub clip_skip: u32,
    /// The texts as [`Pipeline::encode_text`](crate::Pipeline::encode_text) made them of a run with
    /// the same; where it is not there, they are encoded with each picture.
    pub text: Option<RunText>,
    /// Pixels, a multiple of 8.
    pub width: u32,
    /// Pixels, a multiple of 8.
    pub height: u32,
    /// What the model is told of its training pictures' sizes.
    pub sizes: Sizes,
    /// One of [`Pipeline::SCHEDULERS`](crate::Pipeline::SCHEDULERS).
    pub scheduler: String,
    /// How it goes through the noise.
    pub steps: Steps,
    /// Which timesteps are visited, where it is not the checkpoint's own way: distilled models are
    /// mostly made for [`TimestepSpacing::Trailing`].
    pub timestep_spacing: Option<TimestepSpacing>,
    /// How much noise DDIM and TCD add, from 0, which it is unless told, to 1.
    pub eta: Option<f64>,
    /// How closely to follow the prompt.
    pub guidance: GuidanceOptions,
    /// What to begin with.
    pub start: Start,
    /// Share of the denoising, from 0, that was done before: for the second of two models.
    pub denoising_start: Option<f64>,
    /// Share of the denoising after which to stop: for the first of two models.
    pub denoising_end: Option<f64>,
    /// Decides the noise: see [`crate::noise`].
    pub seed: u64,
    /// Who draws it.
    pub noise: NoiseSource,
    /// How many pictures. Picture i is the one that `seed + i` makes alone, to the byte: they are
    /// made one after the other.
    pub images: u32,
    /// Additions to the model, each with a weight.
    pub loras: Vec<(Arc<Lora>, f64)>,
    /// Pictures that steer it.
    pub controls: Vec<Control>,
    /// Whether `ControlNet`s see the prompt's half of a guided step alone, and are the weaker the
    /// finer the level: for making something of their pictures without a prompt.
    pub guess_mode: bool,
}

/// A picture that steers a run.
#[derive(Clone, Debug)]
pub struct Control {
    /// What makes of the picture what is added inside of the UNet.
    pub model: Arc<ControlModel>,
    /// As large as the run's pictures: edges, depths or poses, as the model was trained.
    pub image: Picture,
    /// How much it counts (`controlnet_conditioning_scale`, `adapter_conditioning_scale`).
    pub scale: f64,
    /// Share of the steps before it counts.
    pub start: f64,
    /// Share of the steps after which it counts no more.
    ///
    /// A T2I-Adapter counts, as in diffusers (`adapter_conditioning_factor`), for that share of
    /// the number of steps, rounded down, in evaluations of the UNet: with a scheduler that takes
    /// two a step (Heun, DPM++ SDE) all of it is half of a run that goes to the end. 0 is never.
    pub end: f64,
}

impl Control {
    /// A picture that counts from the first step to the last.
    #[must_use]
    pub fn new(model: Arc<ControlModel>, image: Picture) -> Self {
        Self {
            model,
            image,
            scale: 1.0,
            start: 0.0,
            end: 1.0,
        }
    }
}

/// Classifier-free guidance (Ho and Salimans 2022).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GuidanceOptions {
    /// 1 and below is without.
    pub scale: f64,
    /// How far the answer's spread is brought back to the prompt's own, from 0 to 1 (Lin et al.
    /// 2023, section 3.4).
    pub rescale: f64,
    /// Share of the steps, from the noisy end, that are guided; the others take half the time.
    pub end: f64,
}

impl Default for GuidanceOptions {
    fn default() -> Self {
        Self {
            scale: 5.0,
            rescale: 0.0,
            end: 1.0,
        }
    }
}

/// Size and crop conditioning (Podell et al. 2023, section 2.2); height first, then width.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizes {
    /// Of the picture before it was resized for training; the run's own unless told.
    pub original_size: Option<[u32; 2]>,
    /// What was cut off at top and left.
    pub crops_coords_top_left: [u32; 2],
    /// After cutting; the run's own unless told.
    pub target_size: Option<[u32; 2]>,
    /// The same for what not to show.
    pub negative_original_size: Option<[u32; 2]>,
    /// The same for what not to show.
    pub negative_crops_coords_top_left: [u32; 2],
    /// The same for what not to show.
    pub negative_target_size: Option<[u32; 2]>,
    /// What a refiner is told instead of the target size.
    pub aesthetic_score: f64,
    /// The same for what not to show.
    pub negative_aesthetic_score: f64,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            original_size: None,
            crops_coords_top_left: [0; 2],
            target_size: None,
            negative_original_size: None,
            negative_crops_coords_top_left: [0; 2],
            negative_target_size: None,
            aesthetic_score: 6.0,
            negative_aesthetic_score: 2.5,
        }
    }
}

/// What a run begins with.
#[derive(Clone, Debug, Default)]
pub enum Start {
    /// Noise alone: text to image.
    #[default]
    Noise,
    /// A picture and noise: image to image.
    Image {
        /// As large as the run's pictures.
        image: Picture,
        /// How much of it is made anew: that share of the steps is taken.
        strength: f64,
    },
    /// A picture, of which only what the mask covers is made anew.
    Inpaint {
        /// As large as the run's pictures.
        image: Picture,
        /// As large as the picture.
        mask: Mask,
        /// How much of it is made anew: that share of the steps is taken.
        strength: f64,
    },
    /// The latents where another run stopped; wants [`Run::denoising_start`].
    Latents(Latents),
}

impl Defaults {
    /// A run of these and everything else's customary value.
    #[must_use]
    pub fn run(&self, prompt: impl Into<String>) -> Run {
        Run {
            prompt: prompt.into(),
            prompt_2: None,
            negative_prompt: None,
            negative_prompt_2: None,
            syntax: PromptSyntax::default(),
            clip_skip: 0,
            text: None,
            width: self.width,
            height: self.height,
            sizes: Sizes::default(),
            scheduler: self.scheduler.clone(),
            steps: Steps::Count(self.steps as usize),
            timestep_spacing: None,
            eta: None,
            guidance: GuidanceOptions {
                scale: self.guidance_scale,
                ..GuidanceOptions::default()
            },
            start: Start::Noise,
            denoising_start: None,
            denoising_end: None,
            seed: 0,
            noise: NoiseSource::default(),
            images: 1,
            loras: Vec::new(),
            controls: Vec::new(),
            guess_mode: false,
        }
    }
}
