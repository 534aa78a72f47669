//! Pictures that steer a run, step by step.

use burn::tensor::Tensor;

use super::Pipeline;
use super::denoise::twice;
use super::prepare::invalid;
use super::run::{Control, Run};
use crate::RunError;
use crate::control::{ControlNetModel, Kind, Steered};
use crate::model::Held;
use crate::unet::{Additions, Conditioning, Residuals};

/// How many evaluations of the UNet a run has.
#[derive(Clone, Copy)]
pub(super) struct Evaluations {
    /// To the schedule's end.
    pub whole: usize,
    /// To the run's, which may be before it.
    pub taken: usize,
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
        for control in &run.controls {
            self.check_control(run, control)?;
            let picture = control.image.to_unit(self.unet.device());
            match control.model.kind() {
                Kind::ControlNet(part) => {
                    let network = part.network()?;
                    controls.guess |= controls.nets.is_empty() && network.guesses();
                    controls.nets.push(Net {
                        hint: network.hint(picture.cast(network.dtype())),
                        network,
                        scale: control.scale,
                        active: active(control, evaluations.whole),
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
                        active: active(control, evaluations.taken),
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
        if !(0.0..=1.0).contains(&start) || !(0.0..=1.0).contains(&end) || start >= end {
            let message =
                format!("must be between 0 and 1 and below the end, not {start} to {end}");
            return Err(invalid("control_start", message));
        }
        Ok(())
    }
}

/// In which of `count` evaluations a control counts. Both of diffusers' pipelines round so.
fn active(control: &Control, count: usize) -> Vec<bool> {
    let share = |i: usize| i as f64 / count as f64;
    let counts = |i| share(i) >= control.start && share(i + 1) <= control.end;
    (0..count).map(counts).collect()
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
