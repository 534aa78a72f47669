//! A model as callers see it: what it is called, what it does unless told, what it allows.

use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use crate::request::Format;

/// One model of `GET /api/models`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

/// What a request gets where it is silent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
