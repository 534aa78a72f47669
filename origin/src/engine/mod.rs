//! What makes pictures, behind a door small enough for tests to stand in for it.

mod revision;
mod sdxl;
mod texts;

use std::ops::ControlFlow;
use std::time::Instant;

use darkroom_shared::model::Model;
use darkroom_shared::recipe::Recipe;

pub use revision::{RevisionError, revision};
pub use sdxl::{OpenError, SdxlEngine, StageTimes};

/// Makes one picture at a time of a recipe; equal recipes make equal pictures. While it does, other
/// threads may ask it to [`Self::prepare`] the next.
pub trait Engine: Send + Sync {
    /// What it offers.
    fn model(&self) -> Model;

    /// Makes the picture of a recipe, which begins with `start` where the recipe says that it
    /// begins with a picture, calling `on_step` after each step. [`ControlFlow::Break`] ends the run with [`EngineError::Canceled`].
    ///
    /// # Errors
    /// [`EngineError`].
    fn generate(
        &self,
        recipe: &Recipe,
        start: Option<&Start>,
        on_step: &mut dyn FnMut(&Step<'_>) -> ControlFlow<()>,
    ) -> Result<Picture, EngineError>;

    /// Does ahead what [`Self::generate`] would do before a recipe's first step, as far as that goes
    /// beside another run.
    ///
    /// # Errors
    /// [`EngineError`]; the run itself would come to the same.
    fn prepare(&self, _recipe: &Recipe) -> Result<(), EngineError> {
        Ok(())
    }

    /// Names what decides a run's numbers beside its recipe: weights, version, device. Engines of
    /// one name go on from each other's [`Step::state`] to the same bytes. `None` where there are no
    /// states to go on from.
    fn numbers(&self) -> Option<String> {
        None
    }

    /// [`Self::generate`], from behind the step whose [`Step::state`] this is.
    ///
    /// # Errors
    /// [`EngineError`]; [`EngineError::State`] where the run has to begin anew.
    fn resume(
        &self,
        _recipe: &Recipe,
        _start: Option<&Start>,
        _state: &[u8],
        _on_step: &mut dyn FnMut(&Step<'_>) -> ControlFlow<()>,
    ) -> Result<Picture, EngineError> {
        Err(EngineError::State("this engine has none".to_owned()))
    }

    /// Does once what would make the first picture slow: compiles kernels, touches weights.
    ///
    /// # Errors
    /// [`EngineError`]: the engine would fail on requests too.
    fn warm_up(&self) -> Result<(), EngineError> {
        Ok(())
    }
}

/// A step that is done.
pub struct Step<'a> {
    /// How many are done, this one included.
    pub done: u32,
    /// How many there are.
    pub steps: u32,
    /// When all was ready for the first of them: the prompt above all.
    pub prepared: Instant,
    /// Makes a small picture of what can be seen by now.
    pub preview: &'a dyn Fn() -> Result<Picture, EngineError>,
    /// All that it takes to go on from here; asked for only where [`Engine::numbers`] has a name.
    pub state: &'a dyn Fn() -> Result<Vec<u8>, EngineError>,
}

/// A picture in memory: RGB, 8 bits a channel, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// `3 × width × height` bytes.
    pub rgb: Vec<u8>,
}

/// What a run begins with other than noise alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// As large as the recipe says.
    pub image: Picture,
    /// A byte for each of its pixels: what is 128 and above is made anew. All of it where there is
    /// none.
    pub mask: Option<Vec<u8>>,
}

/// Why a run made no picture.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The callback ended it.
    #[error("the run was ended by its callback")]
    Canceled,
    /// A value that this model does not take: the request was the reason.
    #[error("{field}: {message}")]
    Invalid {
        /// The request's field.
        field: String,
        /// What would be right.
        message: String,
    },
    /// A state that a run cannot go on from.
    #[error("the run cannot go on from its state: {0}")]
    State(String),
    /// The engine itself failed.
    #[error("the engine failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}
