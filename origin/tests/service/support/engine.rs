//! An engine that does what a test says.

use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

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
        };
        (engine, gate)
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
            engine: "stub/1".into(),
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
        let (steps, prepared) = (recipe.steps_taken(), Instant::now());
        for done in 1..=steps {
            if let Some(gate) = &self.gate {
                gate.pass();
            }
            let step = Step {
                done,
                steps,
                prepared,
                preview: &|| preview(recipe, done),
            };
            if on_step(&step).is_break() {
                return Err(EngineError::Canceled);
            }
        }
        match recipe.prompt.as_str() {
            "panic" => panic!("the stub was told to"),
            "fail" => Err(EngineError::Failed("secret path /dev/gpu0".into())),
            "poison" => Err(EngineError::Failed(Box::new(Poison))),
            "invalid" => Err(EngineError::Invalid {
                field: "width".into(),
                message: "is too much for this model".into(),
            }),
            _ => Ok(start.map_or_else(|| picture(recipe), begun)),
        }
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
fn picture(recipe: &Recipe) -> Picture {
    let length = (3 * recipe.width * recipe.height) as usize;
    let seed = format!("{} {}", recipe.prompt, recipe.seed);
    let block = Sha256::digest(seed.as_bytes());
    Picture {
        width: recipe.width,
        height: recipe.height,
        rgb: block.iter().copied().cycle().take(length).collect(),
    }
}
