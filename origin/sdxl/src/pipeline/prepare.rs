//! From what is asked to a run that can be taken step by step, as diffusers' three SDXL pipelines
//! (text to image, image to image, inpaint) prepare theirs.

use std::ops::Range;

use burn::tensor::{DType, Tensor};

use super::Pipeline;
use super::denoise::{Guided, Kept, Prepared};
use super::picture::{Mask, Picture};
use super::run::{Run, Sizes, Start};
use crate::RunError;
use crate::lora::Adapters;
use crate::noise::{Draw, NoiseStream};
use crate::scheduler::{Schedule, SchedulerError, Step, StepOptions, by_name};
use crate::text::{PromptEmbeddings, Prompts};
use crate::unet::Conditioning;

impl Pipeline {
    /// The schedule that a run names.
    pub(crate) fn schedule(&self, run: &Run) -> Result<Schedule, RunError> {
        let (class, config) = by_name(&run.scheduler, &self.scheduler)
            .map_err(|error| invalid("scheduler", error.to_string()))?;
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
    pub(crate) fn prepare(
        &self,
        run: &Run,
        prompts: &Prompts,
        schedule: &Schedule,
        mut noise: NoiseStream,
    ) -> Result<Prepared<'_>, RunError> {
        self.check(run)?;
        let size = self.latent_size(run)?;
        let range = evaluations(run, schedule)?;
        let mut plan = schedule.plan(range.start, StepOptions { eta: run.eta });
        plan.steps.truncate(range.len());
        let first = plan.steps.first().ok_or_else(|| nothing_to_do(run))?;
        let batch = prompts.prompt.len();
        let shape = [batch, self.vae.config().latent_channels, size[0], size[1]];
        let begun = self.begin(run, first, plan.init_noise_sigma, shape, &mut noise)?;
        let mut unet = Adapters::default();
        for (lora, weight) in &run.loras {
            unet.add(lora.unet(), *weight);
        }
        let (positive, negative) = self.conditions(run, prompts)?;
        let guided = Guided::new(
            self.unet.adapted(&unet)?,
            positive,
            &negative,
            run.guidance,
            begun.beside,
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
    fn sees_mask(&self) -> bool {
        self.unet.config().in_channels != self.vae.config().latent_channels
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
        let encoders = self.prompts.parts().len();
        let adapters: Vec<Adapters> = (0..encoders)
            .map(|i| {
                let mut adapters = Adapters::default();
                for (lora, weight) in &run.loras {
                    // A lone encoder is the second one.
                    adapters.add(lora.text_encoder(i + 1 == encoders), *weight);
                }
                adapters
            })
            .collect();
        let (positive, negative) = self.prompts.encode(prompts, &adapters)?;
        let (ids, negative_ids) = self.time_ids(run);
        let dtype = self.unet.dtype();
        let condition = |text: PromptEmbeddings, ids: Vec<f32>| Conditioning {
            time_ids: vec![ids; prompts.prompt.len()],
            context: text.context.cast(dtype),
            pooled: text.pooled.cast(dtype),
            guidance_scale: None,
        };
        Ok((condition(positive, ids), condition(negative, negative_ids)))
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

    /// The latents that a run begins with. What is drawn is drawn in diffusers' order.
    fn begin(
        &self,
        run: &Run,
        first: &Step,
        init_noise_sigma: f64,
        shape: [usize; 4],
        noise: &mut NoiseStream,
    ) -> Result<Begun, RunError> {
        let device = self.unet.device();
        match &run.start {
            Start::Noise => {
                let latents = noise
                    .draw(Draw::Start, shape, device)
                    .mul_scalar(init_noise_sigma);
                Ok(Begun::of(latents))
            }
            Start::Latents(latents) => {
                if run.denoising_start.is_none() {
                    let message = "is needed where a run goes on from another's latents";
                    return Err(invalid("denoising_start", message));
                }
                if latents.shape != shape || latents.values.len() != shape.iter().product::<usize>()
                {
                    let message = format!("must have shape {shape:?}, not {:?}", latents.shape);
                    return Err(invalid("latents", message));
                }
                Ok(Begun::of(latents.to_tensor(device)))
            }
            Start::Image { image, .. } => {
                let clean = self.encode(image, run, Draw::Image, shape, noise)?;
                if run.denoising_start.is_some() {
                    return Ok(Begun::of(clean));
                }
                let fresh = noise.draw(Draw::Start, shape, device);
                Ok(Begun::of(first.add_noise(clean, fresh)))
            }
            Start::Inpaint {
                image,
                mask,
                strength,
            } => {
                let is_whole = *strength >= 1.0 && run.denoising_start.is_none();
                self.begin_inpaint(
                    run,
                    (image, mask),
                    is_whole,
                    first,
                    init_noise_sigma,
                    shape,
                    noise,
                )
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the second half of `begin`")]
    fn begin_inpaint(
        &self,
        run: &Run,
        (image, mask): (&Picture, &Mask),
        is_whole: bool,
        first: &Step,
        init_noise_sigma: f64,
        shape: [usize; 4],
        noise: &mut NoiseStream,
    ) -> Result<Begun, RunError> {
        let device = self.unet.device();
        mask.check("mask", [run.height as usize, run.width as usize])?;
        // An inpainting model that begins with noise alone does not need the whole picture's.
        let clean = (!self.sees_mask() || !is_whole)
            .then(|| self.encode(image, run, Draw::Image, shape, noise))
            .transpose()?;
        let fresh = noise.draw(Draw::Start, shape, device);
        let latents = match &clean {
            Some(clean) if run.denoising_start.is_some() => clean.clone(),
            Some(clean) if !is_whole => first.add_noise(clean.clone(), fresh.clone()),
            _ => fresh.clone().mul_scalar(init_noise_sigma),
        };
        let pixels = mask.to_tensor(device);
        let masked = self.encode_tensor(
            image.to_tensor(device) * pixels.clone().neg().add_scalar(1.0),
            Draw::Masked,
            shape,
            noise,
        )?;
        let mask = at_latents(pixels, shape);
        if self.sees_mask() {
            let [batch, _, height, width] = shape;
            let mask = mask.expand([batch, 1, height, width]);
            return Ok(Begun {
                latents,
                kept: None,
                beside: Some(Tensor::cat(vec![mask, masked], 1)),
            });
        }
        Ok(Begun {
            latents,
            kept: clean.map(|clean| Kept {
                mask,
                clean,
                noise: fresh,
            }),
            beside: None,
        })
    }

    fn encode(
        &self,
        image: &Picture,
        run: &Run,
        draw: Draw,
        shape: [usize; 4],
        noise: &mut NoiseStream,
    ) -> Result<Tensor<4>, RunError> {
        image.check("image", [run.height as usize, run.width as usize])?;
        self.encode_tensor(image.to_tensor(self.unet.device()), draw, shape, noise)
    }

    /// A sample of what the VAE makes of a picture `[1, 3, height, width]`, scaled.
    fn encode_tensor(
        &self,
        image: Tensor<4>,
        draw: Draw,
        shape: [usize; 4],
        noise: &mut NoiseStream,
    ) -> Result<Tensor<4>, RunError> {
        let vae = self.vae.network()?;
        let moments = vae.encode(image.cast(self.vae.dtype()));
        let mean = moments.mean.cast(DType::F32).expand(shape);
        let deviation = moments.logvar.cast(DType::F32).mul_scalar(0.5).exp();
        let fresh = noise.draw(draw, shape, self.unet.device());
        let sample = mean + deviation.expand(shape) * fresh;
        Ok(sample.mul_scalar(self.vae.config().scaling_factor))
    }
}

/// What a run begins with.
struct Begun {
    latents: Tensor<4>,
    kept: Option<Kept>,
    beside: Option<Tensor<4>>,
}

impl Begun {
    fn of(latents: Tensor<4>) -> Self {
        Self {
            latents,
            kept: None,
            beside: None,
        }
    }
}

/// A mask `[1, 1, height, width]` at the latents' size: every latent's first pixel.
fn at_latents(mask: Tensor<4>, [_, _, height, width]: [usize; 4]) -> Tensor<4> {
    let [_, _, rows, columns] = mask.dims();
    let (down, across) = (rows / height, columns / width);
    mask.reshape([height, down, width, across])
        .narrow(1, 0, 1)
        .narrow(3, 0, 1)
        .reshape([1, 1, height, width])
}

/// Which evaluations of a schedule a run takes.
fn evaluations(run: &Run, schedule: &Schedule) -> Result<Range<usize>, RunError> {
    let timesteps = schedule.timesteps();
    let trained = schedule.num_train_timesteps() as f64;
    let cutoff = |share: f64| (trained - share * trained).round_ties_even();
    let begin = match (&run.start, run.denoising_start) {
        (_, Some(start)) => {
            let mut left = timesteps.iter().filter(|t| **t < cutoff(start)).count();
            // A step of two evaluations is not cut in halves.
            if schedule.order() == 2 && left.is_multiple_of(2) {
                left += 1;
            }
            timesteps.len().saturating_sub(left)
        }
        (Start::Image { strength, .. } | Start::Inpaint { strength, .. }, None) => {
            let steps = schedule.steps();
            let taken = ((steps as f64 * strength) as usize).min(steps);
            (steps - taken) * schedule.order()
        }
        _ => 0,
    };
    let end = match run.denoising_end {
        None => timesteps.len(),
        Some(end) => {
            let rest = timesteps.get(begin..).unwrap_or_default();
            begin + rest.iter().filter(|t| **t >= cutoff(end)).count()
        }
    };
    if begin >= end {
        return Err(nothing_to_do(run));
    }
    Ok(begin..end)
}

fn nothing_to_do(run: &Run) -> RunError {
    let field = match (&run.start, run.denoising_start.or(run.denoising_end)) {
        (_, Some(_)) => "denoising_start",
        (Start::Noise | Start::Latents(_), None) => "steps",
        _ => "strength",
    };
    invalid(
        field,
        "leaves no step to take: more steps are needed, or more of the denoising",
    )
}

fn invalid(field: &'static str, message: impl Into<String>) -> RunError {
    RunError::Invalid {
        field,
        message: message.into(),
    }
}
