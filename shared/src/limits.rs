//! What a request's values may be: [`crate::request`] checks it, [`crate::model`] tells it.

use serde::{Deserialize, Serialize};

use crate::request::MAX_SEED;

/// The least and the most that is allowed; of a text, its characters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Range<T> {
    /// The least.
    pub min: T,
    /// The most.
    pub max: T,
}

/// What a picture's width or height may be, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Side {
    /// The least.
    pub min: u64,
    /// The most.
    pub max: u64,
    /// Only multiples of this.
    pub multiple_of: u64,
}

/// The limits of each field that has some. What an older neighbour does not tell is as it is here.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Limits {
    /// Characters.
    pub prompt: Range<u64>,
    /// Characters.
    pub negative_prompt: Range<u64>,
    /// Characters.
    pub task_id: Range<u64>,
    /// Pixels.
    pub width: Side,
    /// Pixels.
    pub height: Side,
    /// Denoising steps.
    pub steps: Range<u64>,
    /// Classifier-free guidance.
    pub guidance_scale: Range<f64>,
    /// The seed of the last image too.
    pub seed: Range<u64>,
    /// Images.
    pub n: Range<u64>,
    /// Quality of a JPEG, in percent.
    pub jpeg_quality: Range<u64>,
    /// Previews of each image.
    pub previews: Range<u64>,
    /// How much of a picture is made anew: above the least.
    pub strength: Range<f64>,
    /// Bytes of a picture that is sent along.
    pub input_bytes: Range<u64>,
    /// Pixels of a picture to begin with, and of a mask.
    pub input_pixels: Range<u64>,
}

const SIDE: Side = Side {
    min: 64,
    max: 2048,
    multiple_of: 8,
};

/// What every request is held to.
pub const LIMITS: Limits = Limits {
    prompt: Range {
        min: 1,
        max: 10_000,
    },
    negative_prompt: Range {
        min: 0,
        max: 10_000,
    },
    task_id: Range { min: 1, max: 200 },
    width: SIDE,
    height: SIDE,
    steps: Range { min: 1, max: 150 },
    guidance_scale: Range {
        min: 0.0,
        max: 30.0,
    },
    seed: Range {
        min: 0,
        max: MAX_SEED,
    },
    n: Range { min: 1, max: 10 },
    jpeg_quality: Range { min: 1, max: 100 },
    previews: Range { min: 0, max: 3 },
    strength: Range { min: 0.0, max: 1.0 },
    input_bytes: Range {
        min: 1,
        max: 10 * 1024 * 1024,
    },
    input_pixels: Range {
        min: 1,
        max: 1 << 24,
    },
};

impl Default for Limits {
    fn default() -> Self {
        LIMITS
    }
}
