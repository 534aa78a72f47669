//! The denoising loop: the same for every kind of run.

use std::ops::ControlFlow;

use burn::tensor::Tensor;

use crate::RunError;
use crate::scheduler::{History, Plan, Step};
use crate::unet::{Conditioning, UNet2DConditionModel};

/// One step is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepDone {
    /// Steps done, from 1.
    pub step: u32,
    /// Steps in all.
    pub steps: u32,
}

/// What the UNet is asked at every step.
#[derive(Debug)]
pub(crate) struct Guided<'a> {
    pub unet: &'a UNet2DConditionModel,
    /// With guidance: the opposite's half first, then the prompt's. Without: the prompt's.
    conditioning: Conditioning,
    guidance: Option<Guidance>,
}

/// Classifier-free guidance (Ho and Salimans 2022).
#[derive(Clone, Copy, Debug)]
struct Guidance {
    scale: f64,
    /// How far the result's spread is brought back to the prompt's own (Lin et al. 2023).
    rescale: f64,
}

impl<'a> Guided<'a> {
    /// As in diffusers, a scale of 1 or less is no guidance, and costs one batch instead of two.
    pub(crate) fn new(
        unet: &'a UNet2DConditionModel,
        positive: Conditioning,
        negative: &Conditioning,
        scale: f64,
        rescale: f64,
    ) -> Self {
        let guidance = (scale > 1.0).then_some(Guidance { scale, rescale });
        let conditioning = match guidance {
            Some(_) => Conditioning::concat(negative, &positive),
            None => positive,
        };
        Self {
            unet,
            conditioning,
            guidance,
        }
    }

    /// The guided answer for latents `[batch, 4, height, width]`.
    pub(crate) fn predict(&self, step: &Step, latents: &Tensor<4>) -> Tensor<4> {
        let input = step.scale_model_input(latents.clone());
        let batch = input.dims()[0];
        let ask = |input: Tensor<4>| {
            let timesteps = vec![step.timestep as f32; input.dims()[0]];
            self.unet.forward(input, &timesteps, &self.conditioning)
        };
        let Some(Guidance { scale, rescale }) = self.guidance else {
            return ask(input);
        };
        let both = ask(Tensor::cat(vec![input.clone(), input], 0));
        let opposite = both.clone().narrow(0, 0, batch);
        let prompted = both.narrow(0, batch, batch);
        let guided = opposite.clone() + (prompted.clone() - opposite).mul_scalar(scale);
        if rescale == 0.0 {
            return guided;
        }
        let factor = spread(prompted) / spread(guided.clone());
        guided * factor.mul_scalar(rescale).add_scalar(1.0 - rescale)
    }
}

/// Each picture's standard deviation, `[batch, 1, 1, 1]`.
fn spread(x: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let flat = x.reshape([batch, channels * height * width]);
    flat.var(1).sqrt().reshape([batch, 1, 1, 1])
}

/// Takes every step of the plan. `noise` gives unit noise for the steps that want it;
/// `on_step` sees the latents after each and may end the run.
///
/// # Errors
/// [`RunError::Canceled`].
pub(crate) fn denoise(
    guided: &Guided<'_>,
    plan: &Plan,
    mut latents: Tensor<4>,
    noise: &mut dyn FnMut() -> Tensor<4>,
    on_step: &mut dyn FnMut(StepDone, &Tensor<4>) -> ControlFlow<()>,
) -> Result<Tensor<4>, RunError> {
    let mut history = History::default();
    let steps = plan.steps.len() as u32;
    for (done, step) in (1..).zip(&plan.steps) {
        let output = guided.predict(step, &latents);
        let fresh = step.wants_noise().then(&mut *noise);
        latents = step.apply(output, latents, fresh, &mut history);
        if on_step(StepDone { step: done, steps }, &latents).is_break() {
            return Err(RunError::Canceled);
        }
    }
    Ok(latents)
}
