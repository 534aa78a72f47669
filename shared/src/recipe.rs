//! A recipe: a request with every default filled in. Equal recipes make equal pictures.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::input::Source;
use crate::limits::LIMITS;
use crate::model::{Defaults, Model};
use crate::problem::{Code, FieldError, Problem};
use crate::request::{Format, GenerateRequest, MAX_SEED, MaskChannel};

/// How much of a picture is made anew unless told.
const STRENGTH: f64 = 0.75;
/// The same of what a mask covers.
const STRENGTH_UNDER_MASK: f64 = 1.0;

/// All that decides a picture's bytes, and nothing else.
///
/// Fields that are absent are left out of the canonical form, so that a field added later
/// does not change the hash of recipes that never used it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Recipe {
    /// What to show.
    pub prompt: String,
    /// What not to show. `None` and an empty text are two things to SDXL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negative_prompt: Option<String>,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Denoising steps.
    pub steps: u32,
    /// Classifier-free guidance.
    pub guidance_scale: f64,
    /// The scheduler's name.
    pub scheduler: String,
    /// Decides the noise.
    pub seed: u64,
    /// The model's name.
    pub model: String,
    /// The model's revision.
    pub revision: String,
    /// The version of the engine's numerics.
    pub engine: String,
    /// The file format.
    pub format: Format,
    /// A JPEG's quality where it is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jpeg_quality: Option<u32>,
    /// SHA-256 of the file of the picture to begin with, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_image: Option<String>,
    /// The same of the mask's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<String>,
    /// What of the mask counts.
    #[serde(default, skip_serializing_if = "is_luminance")]
    pub mask_channel: MaskChannel,
    /// How much of the picture is made anew; there is one where there is a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strength: Option<f64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_luminance(channel: &MaskChannel) -> bool {
    *channel == MaskChannel::Luminance
}

impl Recipe {
    /// Fills a checked request in with the defaults of the model that it is for. `seed` is used
    /// where the request has none. Edge and origin both ask this: so they refuse the same.
    ///
    /// Where the request [names images](GenerateRequest::names_images), marks stand in for their
    /// digests: the recipe is then good for checking, and its hash names nothing.
    ///
    /// # Errors
    /// [`Code::Invalid`], with every field that the model does not offer; [`Code::Unavailable`]
    /// where there is no model.
    pub fn complete(
        request: &GenerateRequest,
        models: &[Model],
        seed: u64,
    ) -> Result<Self, Problem> {
        let model = Model::named(models, request.model.as_deref())?;
        let defaults = &model.defaults;
        let scheduler = request.scheduler.as_ref().unwrap_or(&defaults.scheduler);
        let mut errors = Vec::new();
        if !model.schedulers.contains(scheduler) {
            errors.push(FieldError {
                field: "scheduler".into(),
                message: format!("must be one of: {}", model.schedulers.join(", ")),
            });
        }
        if !model.formats.contains(&request.format) {
            let names: Vec<_> = model.formats.iter().map(|format| format.as_str()).collect();
            errors.push(FieldError {
                field: "format".into(),
                message: format!("must be one of: {}", names.join(", ")),
            });
        }
        let steps = request.steps.unwrap_or(defaults.steps);
        let strength = strength(request);
        if steps_taken(steps, strength) == 0 {
            errors.push(FieldError {
                field: "strength".into(),
                message: format!("leaves none of {steps} steps; must be at least 1/{steps}"),
            });
        }
        if !errors.is_empty() {
            return Err(Problem::fields(Code::Invalid, errors));
        }
        let (width, height) = size(request, defaults);
        Ok(Self {
            prompt: request.prompt.clone(),
            negative_prompt: request.negative_prompt.clone(),
            width,
            height,
            steps,
            guidance_scale: request.guidance_scale.unwrap_or(defaults.guidance_scale),
            scheduler: scheduler.clone(),
            seed: request.seed.unwrap_or(seed).min(MAX_SEED),
            model: model.name.clone(),
            revision: model.revision.clone(),
            engine: model.engine.clone(),
            format: request.format,
            jpeg_quality: request.jpeg_quality,
            init_image: request.init_image.as_ref().map(Source::mark),
            mask: request.mask.as_ref().map(Source::mark),
            mask_channel: match request.mask {
                Some(_) => request.mask_channel,
                None => MaskChannel::default(),
            },
            strength,
        })
    }

    /// Steps that are taken of [`Recipe::steps`]: a run that begins with a picture begins late.
    #[must_use]
    pub fn steps_taken(&self) -> u32 {
        steps_taken(self.steps, self.strength)
    }

    /// The recipe of a request's image `index`: the same with the seed that far on.
    #[must_use]
    pub fn for_image(&self, index: u32) -> Self {
        Self {
            seed: self.seed + u64::from(index),
            ..self.clone()
        }
    }

    /// SHA-256 over the canonical JSON (RFC 8785), in hex.
    ///
    /// # Errors
    /// A number that JSON has no form for, which a checked request never holds.
    pub fn hash(&self) -> Result<String, serde_json::Error> {
        hash(self)
    }
}

/// [`Recipe::hash`] of a recipe in whatever form it is.
///
/// # Errors
/// As there.
pub fn hash(recipe: &impl Serialize) -> Result<String, serde_json::Error> {
    let canonical = serde_json_canonicalizer::to_vec(recipe)?;
    Ok(hex::encode(Sha256::digest(canonical)))
}

fn strength(request: &GenerateRequest) -> Option<f64> {
    request.init_image.as_ref()?;
    let unless_told = match request.mask {
        Some(_) => STRENGTH_UNDER_MASK,
        None => STRENGTH,
    };
    Some(request.strength.unwrap_or(unless_told))
}

/// As diffusers rounds it.
fn steps_taken(steps: u32, strength: Option<f64>) -> u32 {
    strength.map_or(steps, |strength| (f64::from(steps) * strength) as u32)
}

/// The size asked for; what is left open follows from the picture to begin with, or else is the
/// model's.
fn size(request: &GenerateRequest, defaults: &Defaults) -> (u32, u32) {
    let input = request.init_image.as_ref().and_then(Source::file);
    let Some((input_width, input_height)) = input.map(|file| file.header().size()) else {
        return (
            request.width.unwrap_or(defaults.width),
            request.height.unwrap_or(defaults.height),
        );
    };
    match (request.width, request.height) {
        (Some(width), Some(height)) => (width, height),
        (Some(width), None) => (width, side(input_height, width, input_width)),
        (None, Some(height)) => (side(input_width, height, input_height), height),
        (None, None) => {
            let long = input_width.max(input_height);
            let most = long.min(LIMITS.width.max as u32);
            (
                side(input_width, most, long),
                side(input_height, most, long),
            )
        }
    }
}

/// `length × numerator / denominator`, brought to what a side may be: it is rounded down.
fn side(length: u32, numerator: u32, denominator: u32) -> u32 {
    let limits = LIMITS.width;
    let exact = u64::from(length) * u64::from(numerator) / u64::from(denominator.max(1));
    let whole = exact - exact % limits.multiple_of;
    whole.clamp(limits.min, limits.max) as u32
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn model() -> Model {
        Model {
            name: "demo".into(),
            revision: "r1".into(),
            engine: "e1".into(),
            default: true,
            defaults: crate::model::Defaults {
                width: 128,
                height: 128,
                steps: 20,
                guidance_scale: 3.0,
                scheduler: "euler".into(),
            },
            schedulers: vec!["euler".into(), "dpmpp_2m".into()],
            formats: vec![Format::Png],
            loras: Vec::new(),
            limits: LIMITS,
        }
    }

    fn complete(request: &GenerateRequest, seed: u64) -> Result<Recipe, Problem> {
        Recipe::complete(request, &[model()], seed)
    }

    fn request(json: &str) -> GenerateRequest {
        GenerateRequest::from_json(json.as_bytes()).expect("valid")
    }

    #[test]
    fn defaults_are_filled_in_and_the_seed_is_the_requests_own() {
        let recipe = complete(&request(r#"{"prompt":"p"}"#), 5).expect("ok");
        assert_eq!((recipe.steps, recipe.seed, recipe.width), (20, 5, 128));
        let own = request(r#"{"prompt":"p","seed":9}"#);
        assert_eq!(complete(&own, 5).expect("ok").seed, 9);
        assert_eq!(recipe.for_image(3).seed, 8);
    }

    #[test]
    fn what_the_model_lacks_is_named() {
        let wrong = request(r#"{"prompt":"p","scheduler":"x","format":"webp"}"#);
        let problem = complete(&wrong, 0).expect_err("refused");
        assert_eq!(problem.code, Code::Invalid);
        let [scheduler, format] = &problem.errors[..] else {
            panic!("{problem:?}");
        };
        assert_eq!(scheduler.message, "must be one of: euler, dpmpp_2m");
        assert_eq!(format.field, "format");
    }

    #[test]
    fn the_hash_changes_with_every_field_and_only_then() {
        let base = complete(&request(r#"{"prompt":"p"}"#), 5).expect("ok");
        let hash = base.hash().expect("hash");
        assert_eq!(hash.len(), 64);
        assert_eq!(base.clone().hash().expect("hash"), hash);
        let others = [
            Recipe {
                prompt: "q".into(),
                ..base.clone()
            },
            Recipe {
                negative_prompt: Some(String::new()),
                ..base.clone()
            },
            Recipe {
                width: 136,
                ..base.clone()
            },
            Recipe {
                height: 136,
                ..base.clone()
            },
            Recipe {
                steps: 21,
                ..base.clone()
            },
            Recipe {
                guidance_scale: 3.5,
                ..base.clone()
            },
            Recipe {
                scheduler: "dpmpp_2m".into(),
                ..base.clone()
            },
            Recipe {
                seed: 6,
                ..base.clone()
            },
            Recipe {
                model: "m".into(),
                ..base.clone()
            },
            Recipe {
                revision: "r".into(),
                ..base.clone()
            },
            Recipe {
                engine: "e".into(),
                ..base.clone()
            },
            Recipe {
                format: Format::Webp,
                ..base.clone()
            },
            Recipe {
                jpeg_quality: Some(80),
                ..base.clone()
            },
            Recipe {
                init_image: Some("a".into()),
                ..base.clone()
            },
            Recipe {
                mask: Some("a".into()),
                ..base.clone()
            },
            Recipe {
                mask_channel: MaskChannel::Alpha,
                ..base.clone()
            },
            Recipe {
                strength: Some(0.5),
                ..base.clone()
            },
        ];
        for other in others {
            assert_ne!(other.hash().expect("hash"), hash, "{other:?}");
        }
    }

    /// A request that begins with a PNG of this size; `more` are further fields.
    fn with_picture(width: u32, height: u32, more: &serde_json::Value) -> GenerateRequest {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        png.extend(width.to_be_bytes());
        png.extend(height.to_be_bytes());
        let mut body = more.clone();
        body["prompt"] = "p".into();
        body["init_image"] = crate::input::data_url("image/png", &png).into();
        request(&body.to_string())
    }

    #[test]
    fn the_size_follows_from_the_picture_to_begin_with() {
        for (width, height, more, expected) in [
            (300, 200, json!({}), (296, 200)),
            (4000, 2000, json!({}), (2048, 1024)),
            (20, 4000, json!({}), (64, 2048)),
            (300, 200, json!({ "width": 512 }), (512, 336)),
            (300, 200, json!({ "height": 512 }), (768, 512)),
            (300, 200, json!({ "width": 64, "height": 128 }), (64, 128)),
        ] {
            let request = with_picture(width, height, &more);
            let recipe = complete(&request, 5).expect("ok");
            assert_eq!((recipe.width, recipe.height), expected, "{more}");
        }
    }

    #[test]
    fn a_run_that_begins_with_a_picture_takes_a_share_of_the_steps() {
        let taken = |more| complete(&with_picture(64, 64, &more), 5).map(|r| r.steps_taken());
        assert_eq!(taken(json!({})).expect("ok"), 15);
        assert_eq!(
            taken(json!({ "strength": 0.5, "steps": 9 })).expect("ok"),
            4
        );
        let id = "01234567-89ab-cdef-0123-456789abcdef";
        assert_eq!(taken(json!({ "mask": id })).expect("ok"), 20);
        let problem = taken(json!({ "strength": 0.5, "steps": 1 })).expect_err("refused");
        assert_eq!(problem.errors[0].field, "strength");
    }

    #[test]
    fn the_pictures_digests_are_in_the_recipe_and_what_counts_of_a_mask() {
        let request = with_picture(64, 64, &json!({ "mask_channel": "alpha" }));
        let recipe = complete(&request, 5).expect("ok");
        assert_eq!(recipe.init_image.as_ref().map(String::len), Some(64));
        // Without a mask it says nothing.
        assert_eq!(recipe.mask_channel, MaskChannel::Luminance);
        let written = serde_json::to_string(&recipe).expect("JSON");
        assert!(!written.contains("mask"), "{written}");
        let read: Recipe = serde_json::from_str(&written).expect("read");
        assert_eq!(read, recipe);
    }

    #[test]
    fn the_canonical_form_is_rfc_8785() {
        let recipe = complete(&request(r#"{"prompt":"é\n"}"#), 5).expect("ok");
        assert_eq!(
            serde_json_canonicalizer::to_string(&recipe).expect("canonical"),
            r#"{"engine":"e1","format":"png","guidance_scale":3,"height":128,"model":"demo","prompt":"é\n","revision":"r1","scheduler":"euler","seed":5,"steps":20,"width":128}"#
        );
    }
}
