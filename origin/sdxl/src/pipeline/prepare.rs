//! From what is asked to a run that can be taken step by step, as diffusers' three SDXL pipelines
//! (text to image, image to image, inpaint) prepare theirs.

use super::Pipeline;
use super::control::Evaluations;
use super::denoise::{Guided, Prepared};
use super::range::{evaluations, nothing_to_do};
use super::run::{Run, Sizes, Start};
use crate::RunError;
use crate::lora::Adapters;
use crate::noise::NoiseStream;
use crate::scheduler::{Schedule, SchedulerError, StepOptions, by_name};
use crate::text::{PromptEmbeddings, Prompts};
use crate::unet::Conditioning;

impl Pipeline {
    /// The schedule that a run names.
    pub(crate) fn schedule(&self, run: &Run) -> Result<Schedule, RunError> {
        let (class, mut config) = by_name(&run.scheduler, &self.scheduler)
            .map_err(|error| invalid("scheduler", error.to_string()))?;
        if let Some(spacing) = run.timestep_spacing {
            config.timestep_spacing = spacing;
        }
        config.schedule(class, &run.steps).map_err(|error| {
            let field = match error {
                SchedulerError::Steps { .. } => "steps",
                _ => "scheduler",
            };
            invalid(field, error.to_string())
        })
    }

    /// Everything before the first step. `prompts` has as many texts as pictures are made at
    /// once.
    pub(crate) fn prepare<'a>(
        &'a self,
        run: &'a Run,
        prompts: &Prompts,
        schedule: &Schedule,
        mut noise: NoiseStream,
    ) -> Result<Prepared<'a>, RunError> {
        self.check(run)?;
        let size = self.latent_size(run)?;
        let range = evaluations(run, schedule)?;
        // Unlike the scheduler by itself, diffusers' pipelines ask TCD for no noise unless told.
        let options = StepOptions {
            eta: Some(run.eta.unwrap_or(0.0)),
        };
        let mut plan = schedule.plan(range.start, options);
        plan.steps.truncate(range.len());
        let first = plan.steps.first().ok_or_else(|| nothing_to_do(run))?;
        let batch = prompts.prompt.len();
        let shape = [batch, self.vae.config().latent_channels, size[0], size[1]];
        let begun = self.begin(run, first, plan.init_noise_sigma, shape, &mut noise)?;
        let mut unet = Adapters::default();
        for (lora, weight) in &run.loras {
            unet.add(lora.unet(), *weight);
        }
        let evaluations = Evaluations::of(&run.steps, run.denoising_end, schedule, &range);
        let controls = self.controls(run, evaluations)?;
        let (positive, negative) = self.conditions(run, prompts)?;
        let guided = Guided::new(
            self.unet.adapted(&unet)?,
            positive,
            &negative,
            run.guidance,
            begun.beside,
            controls,
        );
        Ok(Prepared {
            plan,
            begin: range.start,
            guided,
            kept: begun.kept,
            noise,
            latents: begun.latents,
        })
    }

    fn check(&self, run: &Run) -> Result<(), RunError> {
        let share = |field, value: Option<f64>| match value {
            Some(value) if !(value > 0.0 && value < 1.0) => Err(invalid(
                field,
                format!("must be between 0 and 1, not {value}"),
            )),
            _ => Ok(()),
        };
        share("denoising_start", run.denoising_start)?;
        share("denoising_end", run.denoising_end)?;
        if let (Some(start), Some(end)) = (run.denoising_start, run.denoising_end)
            && start >= end
        {
            return Err(invalid(
                "denoising_end",
                format!("must be above {start}, not {end}"),
            ));
        }
        if let Start::Image { strength, .. } | Start::Inpaint { strength, .. } = &run.start
            && !(*strength > 0.0 && *strength <= 1.0)
        {
            return Err(invalid(
                "strength",
                format!("must be above 0 and at most 1, not {strength}"),
            ));
        }
        if run.images == 0 {
            return Err(invalid("images", "must be at least 1"));
        }
        if run.eta.is_some_and(|eta| !(0.0..=1.0).contains(&eta)) {
            return Err(invalid("eta", "must be between 0 and 1"));
        }
        if !run.guidance.scale.is_finite() {
            return Err(invalid("guidance_scale", "must be a number"));
        }
        for (field, value) in [
            ("guidance_rescale", run.guidance.rescale),
            ("guidance_end", run.guidance.end),
        ] {
            if !(0.0..=1.0).contains(&value) {
                return Err(invalid(
                    field,
                    format!("must be between 0 and 1, not {value}"),
                ));
            }
        }
        let inpaints = matches!(run.start, Start::Inpaint { .. });
        if self.sees_mask() && !inpaints {
            return Err(invalid("mask", "is needed: this is an inpainting model"));
        }
        Ok(())
    }

    /// Whether the UNet takes a mask and the masked picture beside the latents.
    pub(super) fn sees_mask(&self) -> bool {
        self.unet.config().encoder.in_channels != self.vae.config().latent_channels
    }

    /// `[height, width]` of the latents.
    fn latent_size(&self, run: &Run) -> Result<[usize; 2], RunError> {
        let scale = self.vae.config().scale();
        let side = |field, pixels: u32| {
            let pixels = pixels as usize;
            if pixels == 0 || !pixels.is_multiple_of(scale) {
                let message = format!("must be a multiple of {scale} above 0, not {pixels}");
                return Err(invalid(field, message));
            }
            Ok(pixels / scale)
        };
        Ok([side("height", run.height)?, side("width", run.width)?])
    }

    /// Text and sizes, for what to show and for what not to show.
    fn conditions(
        &self,
        run: &Run,
        prompts: &Prompts,
    ) -> Result<(Conditioning, Conditioning), RunError> {
        let text = match &run.text {
            Some(text) => text.clone(),
            None => self.encode_prompts(run, prompts)?,
        };
        let (ids, negative_ids) = self.time_ids(run);
        let dtype = self.unet.dtype();
        let condition = |text: PromptEmbeddings, ids: Vec<f32>| Conditioning {
            time_ids: vec![ids; prompts.prompt.len()],
            context: text.context.cast(dtype),
            pooled: text.pooled.cast(dtype),
            guidance_scale: None,
        };
        Ok((
            condition(text.positive, ids),
            condition(text.negative, negative_ids),
        ))
    }

    fn time_ids(&self, run: &Run) -> (Vec<f32>, Vec<f32>) {
        let Sizes {
            original_size,
            crops_coords_top_left: crops,
            target_size,
            negative_original_size,
            negative_crops_coords_top_left: negative_crops,
            negative_target_size,
            aesthetic_score,
            negative_aesthetic_score,
        } = run.sizes;
        let size = [run.height, run.width];
        let original = original_size.unwrap_or(size);
        let target = target_size.unwrap_or(size);
        let ids = |original, crops, rest: &[f32]| -> Vec<f32> {
            let sizes: [[u32; 2]; 2] = [original, crops];
            sizes
                .iter()
                .flatten()
                .map(|side| *side as f32)
                .chain(rest.iter().copied())
                .collect()
        };
        let pair = |size: [u32; 2]| size.map(|side| side as f32);
        let negative_original = negative_original_size.unwrap_or(original);
        if self.index.requires_aesthetics_score {
            let score = |score: f64| [score as f32];
            return (
                ids(original, crops, &score(aesthetic_score)),
                ids(
                    negative_original,
                    negative_crops,
                    &score(negative_aesthetic_score),
                ),
            );
        }
        let positive = ids(original, crops, &pair(target));
        let negative_target = negative_target_size.unwrap_or(target);
        let negative = match (&run.start, negative_original_size, negative_target_size) {
            // diffusers takes them only where both are given …
            (Start::Noise, Some(original), Some(target)) => {
                ids(original, negative_crops, &pair(target))
            }
            (Start::Noise, ..) => positive.clone(),
            // … and, with a picture, the positive side's crop for both.
            _ => ids(negative_original, crops, &pair(negative_target)),
        };
        (positive, negative)
    }
}

pub(super) fn invalid(field: &'static str, message: impl Into<String>) -> RunError {
    RunError::Invalid {
        field,
        message: message.into(),
    }
}
