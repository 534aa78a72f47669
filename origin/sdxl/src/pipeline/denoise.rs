//! The denoising loop: the same for every kind of run.

use std::ops::ControlFlow;

use burn::tensor::{DType, Tensor};

use super::control::Controls;
use super::run::GuidanceOptions;
use super::state::Resumed;
use crate::RunError;
use crate::model::Held;
use crate::noise::{Draw, NoiseStream};
use crate::scheduler::{Plan, Step};
use crate::unet::{Conditioning, UNet2DConditionModel};

/// What the UNet is asked at every step.
pub(crate) struct Guided<'a> {
    unet: Held<'a, UNet2DConditionModel>,
    positive: Conditioning,
    /// With guidance: the opposite's half first, then the prompt's.
    both: Option<Conditioning>,
    options: GuidanceOptions,
    /// What an inpainting model sees beside the latents, `[batch, 5, height, width]`.
    beside: Option<Tensor<4>>,
    controls: Controls<'a>,
}

impl<'a> Guided<'a> {
    /// As in diffusers, a scale of 1 or less is no guidance, and costs one batch instead of two;
    /// a UNet that is told the scale is not guided.
    pub fn new(
        unet: Held<'a, UNet2DConditionModel>,
        mut positive: Conditioning,
        negative: &Conditioning,
        options: GuidanceOptions,
        beside: Option<Tensor<4>>,
        controls: Controls<'a>,
    ) -> Self {
        let is_told = unet.config().time_cond_proj_dim.is_some();
        if is_told {
            positive.guidance_scale = Some(options.scale);
        }
        let both =
            (options.scale > 1.0 && !is_told).then(|| Conditioning::concat(negative, &positive));
        Self {
            unet,
            positive,
            both,
            options,
            beside,
            controls,
        }
    }

    /// The guided answer for latents `[batch, 4, height, width]` at evaluation `i` of `count`.
    pub fn predict(&self, step: &Step, i: usize, count: usize, latents: &Tensor<4>) -> Tensor<4> {
        let input = step.scale_model_input(latents.clone());
        let place = i as f64 / count as f64;
        let both = self.both.as_ref().filter(|_| place < self.options.end);
        let timestep = step.timestep as f32;
        let additions = self
            .controls
            .additions(i, timestep, &input, &self.positive, both);
        let batch = input.dims()[0];
        let input = match &self.beside {
            Some(beside) => Tensor::cat(vec![input, beside.clone()], 1),
            None => input,
        };
        let ask = |input: Tensor<4>, conditioning| {
            let timesteps = vec![timestep; input.dims()[0]];
            let input = input.cast(self.unet.dtype());
            let output = self
                .unet
                .forward(input, &timesteps, conditioning, additions);
            output.cast(DType::F32)
        };
        let Some(both) = both else {
            return ask(input, &self.positive);
        };
        let both = ask(twice(input), both);
        let opposite = both.clone().narrow(0, 0, batch);
        let prompted = both.narrow(0, batch, batch);
        let GuidanceOptions { scale, rescale, .. } = self.options;
        let guided = opposite.clone() + (prompted.clone() - opposite).mul_scalar(scale);
        if rescale == 0.0 {
            return guided;
        }
        let factor = spread(prompted) / spread(guided.clone());
        guided * factor.mul_scalar(rescale).add_scalar(1.0 - rescale)
    }
}

/// Both halves of a guided batch.
pub(super) fn twice(x: Tensor<4>) -> Tensor<4> {
    Tensor::cat(vec![x.clone(), x], 0)
}

/// Each picture's standard deviation, `[batch, 1, 1, 1]`.
fn spread(x: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let flat = x.reshape([batch, channels * height * width]);
    flat.var(1).sqrt().reshape([batch, 1, 1, 1])
}

/// What the mask does not cover, put back after every step.
pub(crate) struct Kept {
    /// 1 where the picture is made anew, `[1, 1, height, width]`.
    pub mask: Tensor<4>,
    /// The picture's latents.
    pub clean: Tensor<4>,
    /// The noise that the run began with.
    pub noise: Tensor<4>,
}

impl Kept {
    /// `next` is the step that follows, if one does.
    pub fn put_back(&self, latents: Tensor<4>, next: Option<&Step>) -> Tensor<4> {
        let clean = self.clean.clone();
        let kept = match next {
            Some(next) => next.add_noise(clean, self.noise.clone()),
            None => clean,
        };
        let anew = self.mask.clone();
        kept * anew.clone().neg().add_scalar(1.0) + latents * anew
    }
}

/// A run, ready to be taken step by step.
pub(crate) struct Prepared<'a> {
    pub plan: Plan,
    /// Evaluations of the whole schedule that come before the plan's first.
    pub begin: usize,
    pub guided: Guided<'a>,
    pub kept: Option<Kept>,
    pub noise: NoiseStream,
    pub latents: Tensor<4>,
}

impl Prepared<'_> {
    /// Takes step number `i` of the plan; the clean latents, as the UNet's answer has them.
    pub fn step(&mut self, i: usize, run: &mut Resumed) -> Tensor<4> {
        let step = &self.plan.steps[i];
        let count = self.plan.steps.len();
        let output = self.guided.predict(step, i, count, &run.latents);
        let clean = step.clean(&output, &run.latents);
        let noise = self.noise_of(i, run);
        let step = &self.plan.steps[i];
        let next = step.apply(&output, run.latents.clone(), noise, &mut run.history);
        run.latents = match &self.kept {
            Some(kept) => kept.put_back(next, self.plan.steps.get(i + 1)),
            None => next,
        };
        clean
    }

    /// Draws what step `i` wants.
    fn noise_of(&mut self, i: usize, run: &mut Resumed) -> Option<Tensor<4>> {
        let step = &self.plan.steps[i];
        if !step.wants_noise() {
            return None;
        }
        let (shape, device) = (run.latents.dims(), run.latents.device());
        let fresh = self.noise.draw(Draw::Step(self.begin + i), shape, &device);
        let mixed = match (step.noise_mix, run.noise.take(), &self.noise) {
            // A tape has been mixed before.
            (Some((before, now)), Some(last), stream) if !stream.is_tape() => {
                last.mul_scalar(before) + fresh.clone().mul_scalar(now)
            }
            _ => fresh.clone(),
        };
        run.noise = Some(fresh);
        Some(mixed)
    }

    /// Goes past the first `done` steps: a generator that draws one number after the other must
    /// have drawn theirs.
    pub fn skip(&mut self, done: usize, run: &Resumed) {
        let (shape, device) = (run.latents.dims(), run.latents.device());
        for i in 0..done.min(self.plan.steps.len()) {
            if self.plan.steps[i].wants_noise() {
                drop(self.noise.draw(Draw::Step(self.begin + i), shape, &device));
            }
        }
    }
}

/// Takes every step from number `done` on; `on_step` may end the run after each.
///
/// # Errors
/// [`RunError::Canceled`].
pub(crate) fn denoise(
    prepared: &mut Prepared<'_>,
    done: usize,
    run: &mut Resumed,
    on_step: &mut dyn FnMut(usize, &Resumed, &Tensor<4>) -> ControlFlow<()>,
) -> Result<(), RunError> {
    for i in done..prepared.plan.steps.len() {
        let clean = prepared.step(i, run);
        if on_step(i + 1, run, &clean).is_break() {
            return Err(RunError::Canceled);
        }
    }
    Ok(())
}
