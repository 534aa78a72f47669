//! A model as callers see it: what it is called, what it does unless told, what it allows.

use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use crate::problem::{Code, FieldError, Problem};
use crate::request::Format;

/// One model of `GET /api/models`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Model {
    /// The name that requests use.
    pub name: String,
    /// Digest of weights and configuration, hex: other weights are another revision.
    pub revision: String,
    /// Version of the engine's numerics: other numerics make other bytes.
    pub engine: String,
    /// Whether requests that name no model get this one.
    pub default: bool,
    /// What a request gets where it is silent.
    pub defaults: Defaults,
    /// Names for a request's `scheduler`.
    pub schedulers: Vec<String>,
    /// Names for a request's `format`.
    pub formats: Vec<Format>,
    /// Names for a request's `loras`.
    #[serde(default)]
    pub loras: Vec<String>,
    /// What a request's values may be.
    #[serde(default)]
    pub limits: Limits,
}

impl Model {
    /// The model that a request names, or the one for requests that name none.
    ///
    /// # Errors
    /// [`Code::Invalid`] for a name that is not offered, [`Code::Unavailable`] where there is no
    /// model.
    pub fn named<'a>(models: &'a [Self], name: Option<&str>) -> Result<&'a Self, Problem> {
        let Some(name) = name else {
            let default = models.iter().find(|model| model.default);
            return default
                .or(models.first())
                .ok_or_else(|| Problem::new(Code::Unavailable, "no model is offered"));
        };
        models
            .iter()
            .find(|model| model.name == name)
            .ok_or_else(|| {
                let names: Vec<_> = models.iter().map(|model| model.name.as_str()).collect();
                let message = format!(
                    "`{name}` is not offered; must be one of: {}",
                    names.join(", ")
                );
                let field = "model".to_owned();
                Problem::fields(Code::Invalid, vec![FieldError { field, message }])
            })
    }
}

/// What a request gets where it is silent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Defaults {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Denoising steps.
    pub steps: u32,
    /// Classifier-free guidance; 1 and below is without.
    pub guidance_scale: f64,
    /// One of [`Model::schedulers`].
    pub scheduler: String,
}
