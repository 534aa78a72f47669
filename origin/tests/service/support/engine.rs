//! An engine that does what a test says.

use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use darkroom_origin::encode::FORMATS;
use darkroom_origin::engine::{Engine, EngineError, Picture, Start, Step};
use darkroom_shared::limits::LIMITS;
use darkroom_shared::model::{Defaults, Model};
use darkroom_shared::recipe::Recipe;
use sha2::{Digest as _, Sha256};

use super::LIMIT;

/// An engine whose pictures follow from the recipe, and whose steps a test can hold.
///
/// The prompts `panic`, `fail` and `invalid` do what they say; `poison` takes down whoever drops
/// the failure.
#[derive(Clone, Default)]
pub struct StubEngine {
    gate: Option<Arc<Gate>>,
    /// How long a step takes.
    pub pace: Duration,
    /// What decides its numbers beside the recipe, where not the same as with the others.
    pub device: &'static str,
    /// What its files are: the end of its name.
    files: &'static str,
    /// Prompts in the order in which they were prepared.
    prepared: Arc<Mutex<Vec<String>>>,
}

/// Lets steps through one by one.
#[derive(Default)]
pub struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    allowed: u32,
    done: u32,
    open: bool,
}

impl StubEngine {
    /// An engine that waits before each step until the gate lets it through.
    pub fn gated() -> (Self, Arc<Gate>) {
        let gate = Arc::new(Gate::default());
        let engine = Self {
            gate: Some(Arc::clone(&gate)),
            ..Self::default()
        };
        (engine, gate)
    }

    /// An engine whose files are signed.
    pub fn signing() -> Self {
        Self {
            files: "+files/2-c2pa",
            ..Self::default()
        }
    }

    /// An engine whose steps take that long.
    pub fn paced(pace: Duration) -> Self {
        Self {
            pace,
            ..Self::default()
        }
    }

    /// Prompts in the order in which they were prepared.
    pub fn prepared(&self) -> Vec<String> {
        self.prepared.lock().expect("list").clone()
    }

    /// Every step adds to the digest that the picture is made of: one that is left out is seen.
    fn go_on(
        &self,
        recipe: &Recipe,
        done: u32,
        mut digest: Vec<u8>,
        start: Option<&Start>,
        on_step: &mut dyn FnMut(&Step<'_>) -> ControlFlow<()>,
    ) -> Result<Picture, EngineError> {
        let (steps, prepared) = (recipe.steps_taken(), Instant::now());
        for done in done + 1..=steps {
            if let Some(gate) = &self.gate {
                gate.pass();
            }
            std::thread::sleep(self.pace);
            digest = Sha256::digest(&digest).to_vec();
            let step = Step {
                done,
                steps,
                prepared,
                preview: &|| preview(recipe, done),
                state: &|| Ok([&done.to_le_bytes()[..], &digest].concat()),
            };
            if on_step(&step).is_break() {
                return Err(EngineError::Canceled);
            }
        }
        if recipe.prompt == "decoded at the gate"
            && let Some(gate) = &self.gate
        {
            gate.pass();
        }
        match recipe.prompt.as_str() {
            "panic" => panic!("the stub was told to"),
            "fail" => Err(EngineError::Failed("secret path /dev/gpu0".into())),
            "poison" => Err(EngineError::Failed(Box::new(Poison))),
            "invalid" => Err(EngineError::Invalid {
                field: "width".into(),
                message: "is too much for this model".into(),
            }),
            _ => Ok(start.map_or_else(|| picture(recipe, &digest), begun)),
        }
    }
}

impl Gate {
    /// Lets `steps` more steps through.
    pub fn allow(&self, steps: u32) {
        self.state().allowed += steps;
        self.changed.notify_all();
    }

    /// Lets every step through from here on.
    pub fn open(&self) {
        self.state().open = true;
        self.changed.notify_all();
    }

    /// Steps that were computed.
    pub fn done(&self) -> u32 {
        self.state().done
    }

    fn pass(&self) {
        let waiting = self
            .changed
            .wait_timeout_while(self.state(), LIMIT, |state| {
                !state.open && state.done == state.allowed
            });
        let (mut state, timeout) = waiting.expect("gate");
        assert!(!timeout.timed_out(), "nobody opened the gate");
        state.done += 1;
    }

    fn state(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().expect("gate")
    }
}

impl Engine for StubEngine {
    fn model(&self) -> Model {
        Model {
            name: "stub".into(),
            revision: "r1".into(),
            engine: format!("stub/1{}", self.files),
            default: true,
            defaults: Defaults {
                width: 64,
                height: 64,
                steps: 4,
                guidance_scale: 3.0,
                scheduler: "euler".into(),
            },
            schedulers: vec!["euler".into()],
            formats: FORMATS.to_vec(),
            loras: Vec::new(),
            limits: LIMITS,
        }
    }

    fn generate(
        &self,
        recipe: &Recipe,
        start: Option<&Start>,
        on_step: &mut dyn FnMut(&Step<'_>) -> ControlFlow<()>,
    ) -> Result<Picture, EngineError> {
        let digest = Sha256::digest(format!("{} {}", recipe.prompt, recipe.seed));
        self.go_on(recipe, 0, digest.to_vec(), start, on_step)
    }

    fn prepare(&self, recipe: &Recipe) -> Result<(), EngineError> {
        let mut prepared = self.prepared.lock().expect("list");
        prepared.push(recipe.prompt.clone());
        Ok(())
    }

    fn numbers(&self) -> Option<String> {
        Some(self.device.into())
    }

    fn resume(
        &self,
        recipe: &Recipe,
        start: Option<&Start>,
        state: &[u8],
        on_step: &mut dyn FnMut(&Step<'_>) -> ControlFlow<()>,
    ) -> Result<Picture, EngineError> {
        let Some((done, digest)) = state.split_first_chunk() else {
            return Err(EngineError::State("it is too short".into()));
        };
        let done = u32::from_le_bytes(*done);
        self.go_on(recipe, done, digest.to_vec(), start, on_step)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("poison")]
struct Poison;

impl Drop for Poison {
    fn drop(&mut self) {
        panic!("the stub was told to");
    }
}

/// One colour, which says the step. The prompt `blind` has none.
fn preview(recipe: &Recipe, done: u32) -> Result<Picture, EngineError> {
    if recipe.prompt == "blind" {
        return Err(EngineError::Failed("nothing to be seen".into()));
    }
    Ok(Picture {
        width: recipe.width,
        height: recipe.height,
        rgb: vec![done as u8; (3 * recipe.width * recipe.height) as usize],
    })
}

/// What the run begins with, for all to see: what is made anew is black.
fn begun(start: &Start) -> Picture {
    let mut picture = start.image.clone();
    let mask = start.mask.iter().flatten();
    for (pixel, value) in picture.rgb.chunks_exact_mut(3).zip(mask) {
        if *value >= 128 {
            pixel.fill(0);
        }
    }
    picture
}

/// Noise that prompt and seed decide.
fn picture(recipe: &Recipe, digest: &[u8]) -> Picture {
    let length = (3 * recipe.width * recipe.height) as usize;
    Picture {
        width: recipe.width,
        height: recipe.height,
        rgb: digest.iter().copied().cycle().take(length).collect(),
    }
}
