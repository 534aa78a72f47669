//! Pictures that steer a run, step by step.

use std::ops::Range;

use burn::tensor::Tensor;

use super::Pipeline;
use super::denoise::twice;
use super::prepare::invalid;
use super::run::{Control, Run, Start};
use crate::RunError;
use crate::control::{ControlNetModel, Kind, Steered};
use crate::model::Held;
use crate::scheduler::{Schedule, Steps};
use crate::unet::{Additions, Conditioning, Residuals};

/// Of how many evaluations of the UNet a control's share is meant.
#[derive(Clone, Copy)]
pub(super) struct Evaluations {
    controlnets: usize,
    adapters: usize,
}

impl Evaluations {
    /// For a run that takes `range` of a schedule's evaluations, as diffusers' pipelines count
    /// them: `ControlNet`s' to the schedule's end, wherever the run stops. Adapters' are as many
    /// as there are steps, though a step may have two; but all that the run takes where it stops
    /// early, or where its steps are given by hand.
    pub fn of(
        steps: &Steps,
        denoising_end: Option<f64>,
        schedule: &Schedule,
        range: &Range<usize>,
    ) -> Self {
        Self {
            controlnets: schedule.timesteps().len() - range.start,
            adapters: match (steps, denoising_end) {
                (Steps::Count(count), None) => count - range.start / schedule.order(),
                _ => range.len(),
            },
        }
    }
}

/// What steers a run.
pub(crate) struct Controls<'a> {
    nets: Vec<Net<'a>>,
    adapters: Vec<Adapter>,
    guess: bool,
}

/// A `ControlNet` that has seen its picture.
struct Net<'a> {
    network: Held<'a, ControlNetModel>,
    hint: Tensor<4>,
    scale: f64,
    active: Vec<bool>,
}

/// What a T2I-Adapter makes of its picture, scaled.
struct Adapter {
    features: Vec<Tensor<4>>,
    active: Vec<bool>,
}

impl Pipeline {
    pub(super) fn steered(&self) -> Steered<'_> {
        Steered {
            unet: self.unet.config(),
            scale: self.vae.config().scale(),
        }
    }

    /// Shows every control its picture.
    pub(super) fn controls<'a>(
        &self,
        run: &'a Run,
        evaluations: Evaluations,
    ) -> Result<Controls<'a>, RunError> {
        let mut controls = Controls {
            nets: Vec::new(),
            adapters: Vec::new(),
            guess: run.guess_mode,
        };
        // diffusers' pipeline for inpainting alone does not ask its `ControlNet` for it.
        let may_guess = !matches!(run.start, Start::Inpaint { .. });
        for control in &run.controls {
            self.check_control(run, control)?;
            let picture = control.image.to_unit(self.unet.device());
            match control.model.kind() {
                Kind::ControlNet(part) => {
                    let network = part.network()?;
                    controls.guess |= may_guess && controls.nets.is_empty() && network.guesses();
                    controls.nets.push(Net {
                        hint: network.hint(picture.cast(network.dtype())),
                        network,
                        scale: control.scale,
                        active: net_active(control.start, control.end, evaluations.controlnets),
                    });
                }
                Kind::T2iAdapter(part) => {
                    let network = part.network()?;
                    let side = network.config().downscale_factor as u32;
                    for (field, pixels) in [("width", run.width), ("height", run.height)] {
                        if !pixels.is_multiple_of(side) {
                            let message = format!("must be a multiple of {side} for a T2I-Adapter");
                            return Err(invalid(field, message));
                        }
                    }
                    let picture = match network.config().in_channels {
                        1 => control.image.to_gray_unit(self.unet.device()),
                        _ => picture,
                    };
                    let features = network.forward(picture.cast(network.dtype()));
                    let scaled = features.into_iter().map(|x| x.mul_scalar(control.scale));
                    controls.adapters.push(Adapter {
                        features: scaled.collect(),
                        active: adapter_active(control.start, control.end, evaluations.adapters),
                    });
                }
            }
        }
        Ok(controls)
    }

    fn check_control(&self, run: &Run, control: &Control) -> Result<(), RunError> {
        let size = [run.height as usize, run.width as usize];
        control.image.check("control_image", size)?;
        if let Some(difference) = control.model.difference(self.steered()) {
            let message = format!("was loaded for another model: it has {difference}");
            return Err(invalid("control", message));
        }
        let (ours, theirs) = (
            control.model.place(),
            (self.unet.dtype(), self.unet.device()),
        );
        if ours != theirs {
            let message = format!(
                "was loaded in {:?} on {:?}, the model in {:?} on {:?}: load it with this model",
                ours.0, ours.1, theirs.0, theirs.1
            );
            return Err(invalid("control", message));
        }
        if !control.scale.is_finite() {
            return Err(invalid("control_scale", "must be a number"));
        }
        let (start, end) = (control.start, control.end);
        let is_in_order = match control.model.kind() {
            Kind::ControlNet(_) => start < end,
            // An adapter may count for no step.
            Kind::T2iAdapter(_) => start <= end,
        };
        if !(0.0..=1.0).contains(&start) || !(0.0..=1.0).contains(&end) || !is_in_order {
            let message =
                format!("must be between 0 and 1 and below the end, not {start} to {end}");
            return Err(invalid("control_start", message));
        }
        Ok(())
    }
}

/// In which of `count` evaluations a `ControlNet` counts: those that lie whole in its share.
fn net_active(start: f64, end: f64, count: usize) -> Vec<bool> {
    let share = |i: usize| i as f64 / count as f64;
    let counts = |i| share(i) >= start && share(i + 1) <= end;
    (0..count).map(counts).collect()
}

/// The same of an adapter, whose share is a number of evaluations, rounded down: with
/// 100 × 0.29, which is a little below 29, one less than a `ControlNet`'s. diffusers has no start.
fn adapter_active(start: f64, end: f64, count: usize) -> Vec<bool> {
    let last = (count as f64 * end) as usize;
    let counts = |i| i as f64 / count as f64 >= start;
    (0..last).map(counts).collect()
}

impl Controls<'_> {
    /// What is added at evaluation `i` for scaled latents `[batch, 4, height, width]`; with
    /// guidance for `both` halves of its batch.
    pub fn additions(
        &self,
        i: usize,
        timestep: f32,
        sample: &Tensor<4>,
        positive: &Conditioning,
        both: Option<&Conditioning>,
    ) -> Additions {
        let is_active = |active: &[bool]| active.get(i).copied().unwrap_or(false);
        let nets = self.nets.iter().filter(|net| is_active(&net.active));
        let residuals = nets.map(|net| {
            let ask = |sample: Tensor<4>, conditioning: &Conditioning| {
                let timesteps = vec![timestep; sample.dims()[0]];
                let sample = sample.cast(net.network.dtype());
                net.network.forward(
                    sample,
                    &net.hint,
                    &timesteps,
                    conditioning,
                    net.scale,
                    self.guess,
                )
            };
            match both {
                None => ask(sample.clone(), positive),
                Some(both) if !self.guess => ask(twice(sample.clone()), both),
                Some(_) => {
                    ask(sample.clone(), positive).map(|x| Tensor::cat(vec![x.zeros_like(), x], 0))
                }
            }
        });
        let adapters = self
            .adapters
            .iter()
            .filter(|adapter| is_active(&adapter.active));
        let features = adapters.fold(Vec::new(), |sum: Vec<Tensor<4>>, adapter| {
            plus(sum, &adapter.features)
        });
        Additions {
            residuals: residuals.reduce(Residuals::plus),
            features,
        }
    }
}

/// The sum of two lists, of which one may be shorter.
fn plus(mut sum: Vec<Tensor<4>>, more: &[Tensor<4>]) -> Vec<Tensor<4>> {
    for (i, feature) in more.iter().enumerate() {
        match sum.get_mut(i) {
            Some(there) => *there = there.clone() + feature.clone(),
            None => sum.push(feature.clone()),
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::{SchedulerClass, SchedulerConfig};

    fn count(active: &[bool]) -> usize {
        active.iter().filter(|active| **active).count()
    }

    #[test]
    fn shares_are_rounded_as_each_of_diffusers_pipelines_does() {
        assert_eq!(count(&net_active(0.0, 0.29, 100)), 29);
        assert_eq!(count(&adapter_active(0.0, 0.29, 100)), 28);
        assert_eq!(count(&adapter_active(0.0, 0.0, 100)), 0);
        assert_eq!(count(&adapter_active(0.0, 1.0, 100)), 100);
        assert_eq!(adapter_active(0.5, 0.8, 4), [false, false, true]);
    }

    #[test]
    fn an_adapters_share_is_one_of_steps_unless_the_run_stops_early() {
        let adapters = |steps: Steps, denoising_end, range| {
            let config = SchedulerConfig::default();
            let heun = SchedulerClass::HeunDiscreteScheduler;
            let schedule = config.schedule(heun, &steps).expect("a schedule");
            Evaluations::of(&steps, denoising_end, &schedule, &range).adapters
        };
        // Four steps of Heun are seven evaluations.
        assert_eq!(adapters(Steps::Count(4), None, 0..7), 4);
        assert_eq!(adapters(Steps::Count(4), None, 2..7), 3);
        assert_eq!(adapters(Steps::Count(4), Some(0.7), 0..5), 5);
        let by_hand = Steps::Timesteps(vec![900.0, 600.0, 300.0, 1.0]);
        assert_eq!(adapters(by_hand, None, 0..7), 7);
    }
}
