//! A recipe: a request with every default filled in. Equal recipes make equal pictures.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::Model;
use crate::problem::{Code, FieldError, Problem};
use crate::request::{Format, GenerateRequest, MAX_SEED};

/// All that decides a picture's bytes, and nothing else.
///
/// Fields that are absent are left out of the canonical form, so that a field added later
/// does not change the hash of recipes that never used it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
}

impl Recipe {
    /// Fills a checked request in with the defaults of the model that it is for. `seed` is used
    /// where the request has none. Edge and origin both ask this: so they refuse the same.
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
        if !errors.is_empty() {
            return Err(Problem::fields(Code::Invalid, errors));
        }
        Ok(Self {
            prompt: request.prompt.clone(),
            negative_prompt: request.negative_prompt.clone(),
            width: request.width.unwrap_or(defaults.width),
            height: request.height.unwrap_or(defaults.height),
            steps: request.steps.unwrap_or(defaults.steps),
            guidance_scale: request.guidance_scale.unwrap_or(defaults.guidance_scale),
            scheduler: scheduler.clone(),
            seed: request.seed.unwrap_or(seed).min(MAX_SEED),
            model: model.name.clone(),
            revision: model.revision.clone(),
            engine: model.engine.clone(),
            format: request.format,
        })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LIMITS;

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
        ];
        for other in others {
            assert_ne!(other.hash().expect("hash"), hash, "{other:?}");
        }
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
