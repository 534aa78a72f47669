//! Which schedulers there are, and what they are called.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::config::SchedulerConfig;
use super::schedule::SchedulerError;

/// One of diffusers' schedulers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum SchedulerClass {
    /// Euler's method (Karras et al. 2022, algorithm 2 without churn).
    EulerDiscreteScheduler,
    /// Euler's method with fresh noise at every step (k-diffusion's `sample_euler_ancestral`).
    EulerAncestralDiscreteScheduler,
    /// Song et al. 2020, *Denoising Diffusion Implicit Models*.
    DDIMScheduler,
    /// Ho et al. 2020, *Denoising Diffusion Probabilistic Models*.
    DDPMScheduler,
    /// DPM-Solver++ (Lu et al. 2022) of order one to three, with or without noise.
    DPMSolverMultistepScheduler,
    /// DPM-Solver++ (SDE) of k-diffusion: two evaluations a step, noise from a Brownian path.
    DPMSolverSDEScheduler,
    /// Zhao et al. 2023, *UniPC*: a predictor and a corrector.
    UniPCMultistepScheduler,
    /// Luo et al. 2023, *Latent Consistency Models*.
    LCMScheduler,
    /// Heun's method (Karras et al. 2022): two evaluations a step.
    HeunDiscreteScheduler,
    /// Linear multistep of order four (k-diffusion's `sample_lms`).
    LMSDiscreteScheduler,
    /// Zheng et al. 2024, *Trajectory Consistency Distillation*.
    TCDScheduler,
}

/// A name that callers use for a scheduler: its class and the options that make it so.
struct Named {
    name: &'static str,
    class: SchedulerClass,
    options: &'static [(&'static str, bool)],
    algorithm: Option<&'static str>,
}

const fn named(name: &'static str, class: SchedulerClass) -> Named {
    Named {
        name,
        class,
        options: &[],
        algorithm: None,
    }
}

const fn spaced(
    name: &'static str,
    class: SchedulerClass,
    options: &'static [(&'static str, bool)],
) -> Named {
    Named {
        name,
        class,
        options,
        algorithm: None,
    }
}

const KARRAS: &[(&str, bool)] = &[("use_karras_sigmas", true)];
const EXPONENTIAL: &[(&str, bool)] = &[("use_exponential_sigmas", true)];
const BETA: &[(&str, bool)] = &[("use_beta_sigmas", true)];
const LU: &[(&str, bool)] = &[("use_lu_lambdas", true)];
const SDE: Option<&str> = Some("sde-dpmsolver++");

use SchedulerClass::{
    DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, DPMSolverSDEScheduler,
    EulerAncestralDiscreteScheduler, EulerDiscreteScheduler, HeunDiscreteScheduler, LCMScheduler,
    LMSDiscreteScheduler, TCDScheduler, UniPCMultistepScheduler,
};

const NAMED: [Named; 24] = [
    named("euler", EulerDiscreteScheduler),
    spaced("euler_karras", EulerDiscreteScheduler, KARRAS),
    spaced("euler_exponential", EulerDiscreteScheduler, EXPONENTIAL),
    spaced("euler_beta", EulerDiscreteScheduler, BETA),
    named("euler_a", EulerAncestralDiscreteScheduler),
    named("ddim", DDIMScheduler),
    named("ddpm", DDPMScheduler),
    named("dpmpp_2m", DPMSolverMultistepScheduler),
    spaced("dpmpp_2m_karras", DPMSolverMultistepScheduler, KARRAS),
    spaced(
        "dpmpp_2m_exponential",
        DPMSolverMultistepScheduler,
        EXPONENTIAL,
    ),
    spaced("dpmpp_2m_beta", DPMSolverMultistepScheduler, BETA),
    spaced("dpmpp_2m_lu", DPMSolverMultistepScheduler, LU),
    Named {
        algorithm: SDE,
        ..named("dpmpp_2m_sde", DPMSolverMultistepScheduler)
    },
    Named {
        algorithm: SDE,
        ..spaced("dpmpp_2m_sde_karras", DPMSolverMultistepScheduler, KARRAS)
    },
    named("dpmpp_sde", DPMSolverSDEScheduler),
    spaced("dpmpp_sde_karras", DPMSolverSDEScheduler, KARRAS),
    named("unipc", UniPCMultistepScheduler),
    spaced("unipc_karras", UniPCMultistepScheduler, KARRAS),
    named("heun", HeunDiscreteScheduler),
    spaced("heun_karras", HeunDiscreteScheduler, KARRAS),
    named("lms", LMSDiscreteScheduler),
    spaced("lms_karras", LMSDiscreteScheduler, KARRAS),
    named("lcm", LCMScheduler),
    named("tcd", TCDScheduler),
];

/// Options of a checkpoint that belong to its own scheduler, and not to the noise it was trained
/// with: a scheduler chosen by name brings its own.
const SPACINGS: [&str; 5] = [
    "use_karras_sigmas",
    "use_exponential_sigmas",
    "use_beta_sigmas",
    "use_lu_lambdas",
    "algorithm_type",
];

impl SchedulerClass {
    /// Reads a class name as diffusers writes it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        serde_json::from_value(Value::String(name.to_owned())).ok()
    }

    /// What diffusers takes an option for where a configuration does not say it, as far as the
    /// classes differ in that.
    fn defaults(self) -> Value {
        let distilled = json!({
            "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
            "clip_sample": false, "timestep_spacing": "leading",
        });
        match self {
            DDIMScheduler | DDPMScheduler => {
                json!({ "clip_sample": true, "timestep_spacing": "leading" })
            }
            LCMScheduler | TCDScheduler => distilled,
            HeunDiscreteScheduler | DPMSolverSDEScheduler => {
                json!({ "beta_start": 0.00085, "beta_end": 0.012 })
            }
            _ => json!({}),
        }
    }

    /// A configuration as this class reads it.
    ///
    /// # Errors
    /// [`SchedulerError::Config`].
    pub fn configure(
        self,
        options: &Map<String, Value>,
    ) -> Result<SchedulerConfig, SchedulerError> {
        let mut all = match self.defaults() {
            Value::Object(defaults) => defaults,
            _ => Map::new(),
        };
        // `null` is Python's way of not saying it.
        let said = options.iter().filter(|(_, value)| !value.is_null());
        all.extend(said.map(|(name, value)| (name.clone(), value.clone())));
        if !matches!(self, EulerDiscreteScheduler | UniPCMultistepScheduler) {
            // Options of these two alone.
            all.retain(|name, _| name != "sigma_min" && name != "sigma_max");
        }
        serde_json::from_value(Value::Object(all))
            .map_err(|error| SchedulerError::Config(error.to_string()))
    }
}

/// Every name there is.
pub(crate) const NAMES: [&str; NAMED.len()] = {
    let mut names = [""; NAMED.len()];
    let mut i = 0;
    while i < NAMED.len() {
        names[i] = NAMED[i].name;
        i += 1;
    }
    names
};

/// The scheduler that callers mean by a name, for a checkpoint with these options. What a name
/// leaves open (betas, spacing, what the UNet predicts) is the checkpoint's.
pub(crate) fn by_name(
    name: &str,
    checkpoint: &Map<String, Value>,
) -> Result<(SchedulerClass, SchedulerConfig), SchedulerError> {
    let named = NAMED
        .iter()
        .find(|named| named.name == name)
        .ok_or_else(|| SchedulerError::Unsupported(format!("`{name}`")))?;
    let mut options = checkpoint.clone();
    options.retain(|name, _| !SPACINGS.contains(&name.as_str()));
    for option in ["clip_sample", "set_alpha_to_one"] {
        // What diffusers clips by default are pixels; latents go beyond 1.
        options.entry(option).or_insert(Value::Bool(false));
    }
    for (option, value) in named.options {
        options.insert((*option).to_owned(), Value::Bool(*value));
    }
    if let Some(algorithm) = named.algorithm {
        options.insert("algorithm_type".to_owned(), algorithm.into());
    }
    Ok((named.class, named.class.configure(&options)?))
}

/// The name for a checkpoint's own scheduler, or the nearest of its class; `None` for a class that
/// is not known here.
pub(crate) fn name_of(checkpoint: &Map<String, Value>) -> Option<&'static str> {
    let text = |option: &str| checkpoint.get(option).and_then(Value::as_str);
    let class = SchedulerClass::parse(text("_class_name")?)?;
    let is_on = |option: &str| checkpoint.get(option).and_then(Value::as_bool) == Some(true);
    let fits = |named: &&Named| {
        named.class == class
            && SPACINGS[..4]
                .iter()
                .all(|option| is_on(option) == named.options.contains(&(*option, true)))
            && (named.algorithm == SDE) == (text("algorithm_type") == SDE)
    };
    let plain = || NAMED.iter().find(|named| named.class == class);
    let named = NAMED.iter().find(fits).or_else(plain);
    named.map(|named| named.name)
}
