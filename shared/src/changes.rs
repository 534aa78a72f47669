//! `POST /api/images/{id}/regenerate`: what shall be different about an image that is made anew.
//!
//! The body has a request's fields. What it leaves out is as it was, but for the seed, which is a new
//! one; what is null is as if the request had never had it.

use serde_json::{Map, Value, json};

use crate::fields::{Fields, read_object};
use crate::limits::LIMITS;
use crate::outside::Reach;
use crate::problem::{Code, FieldError, Problem};
use crate::recipe::Recipe;
use crate::request::{Format, GenerateRequest, Visibility};

/// What an image was made by.
#[derive(Clone, Debug, PartialEq)]
pub struct Original {
    /// Its recipe; the seed does not count.
    pub recipe: Recipe,
    /// Who may fetch it.
    pub visibility: Visibility,
    /// Its job's label.
    pub task_id: Option<String>,
}

/// What shall be different.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes(Map<String, Value>);

impl Changes {
    /// Reads a body; an empty one changes nothing but the seed.
    ///
    /// # Errors
    /// [`Code::Malformed`] for what is no JSON object.
    pub fn from_json(body: &[u8]) -> Result<Self, Problem> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        read_object(body)
            .map(Self)
            .map_err(|message| Problem::new(Code::Malformed, format!("the body {message}")))
    }

    /// How many images are wanted.
    ///
    /// # Errors
    /// [`Code::Invalid`].
    pub fn n(mut self) -> Result<u32, Problem> {
        self.0.retain(|name, _| name == "n");
        let mut fields = Fields::new(self.0);
        let n = fields.whole("n", LIMITS.n);
        fields.finish(&[])?;
        Ok(n.map_or(1, |n| n as u32))
    }

    /// Whether the new images shall be private ones, whatever the old one is.
    #[must_use]
    pub fn asks_for_private(&self) -> bool {
        let asked = self.0.get("visibility").and_then(Value::as_str);
        asked == Some(Visibility::Private.as_str())
    }

    /// The request that makes an image anew, whose addresses must be within `reach`.
    ///
    /// # Errors
    /// [`Code::Invalid`] with every offending field. The pictures that an image began with are not
    /// kept: they must be sent again.
    pub fn request(self, original: &Original, reach: &Reach) -> Result<GenerateRequest, Problem> {
        self.check_inputs(&original.recipe)?;
        let mut fields = self.inherited(original);
        for (name, value) in self.0 {
            fields.insert(name, value);
        }
        GenerateRequest::read_whole(Fields::new(fields), reach)
    }

    fn check_inputs(&self, recipe: &Recipe) -> Result<(), Problem> {
        let begins_with_a_picture = match self.0.get("init_image") {
            Some(picture) => !picture.is_null(),
            None => recipe.init_image.is_some(),
        };
        let had = [
            ("init_image", recipe.init_image.is_some()),
            ("mask", recipe.mask.is_some() && begins_with_a_picture),
        ];
        let missing = had
            .into_iter()
            .filter(|(field, had)| *had && !self.0.contains_key(*field));
        let errors: Vec<FieldError> = missing
            .map(|(field, _)| FieldError {
                field: field.to_owned(),
                message: "is not kept: send it again, or null to go without".to_owned(),
            })
            .collect();
        if errors.is_empty() {
            return Ok(());
        }
        Err(Problem::fields(Code::Invalid, errors))
    }

    /// The fields that the image was asked for by.
    fn inherited(&self, original: &Original) -> Map<String, Value> {
        let Original {
            recipe,
            visibility,
            task_id,
        } = original;
        let is_given = |field: &str| self.0.get(field).is_some_and(|value| !value.is_null());
        let begins_with_a_picture = is_given("init_image");
        let is_jpeg = self
            .0
            .get("format")
            .is_none_or(|format| format == Format::Jpeg.as_str());
        let fields = [
            ("prompt", Some(json!(recipe.prompt))),
            (
                "negative_prompt",
                recipe.negative_prompt.as_ref().map(|text| json!(text)),
            ),
            ("task_id", task_id.as_ref().map(|label| json!(label))),
            ("width", Some(json!(recipe.width))),
            ("height", Some(json!(recipe.height))),
            ("steps", Some(json!(recipe.steps))),
            ("guidance_scale", Some(json!(recipe.guidance_scale))),
            ("scheduler", Some(json!(recipe.scheduler))),
            ("model", Some(json!(recipe.model))),
            ("format", Some(json!(recipe.format))),
            ("visibility", Some(json!(visibility))),
            (
                "jpeg_quality",
                recipe
                    .jpeg_quality
                    .filter(|_| is_jpeg)
                    .map(|quality| json!(quality)),
            ),
            (
                "strength",
                recipe
                    .strength
                    .filter(|_| begins_with_a_picture)
                    .map(|strength| json!(strength)),
            ),
            (
                "mask_channel",
                is_given("mask").then(|| json!(recipe.mask_channel)),
            ),
        ];
        let fields = fields.into_iter();
        fields
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::MaskChannel;

    fn original() -> Original {
        Original {
            recipe: Recipe {
                prompt: "a fox".into(),
                negative_prompt: Some("a dog".into()),
                width: 128,
                height: 64,
                steps: 7,
                guidance_scale: 2.5,
                scheduler: "euler".into(),
                seed: 9,
                model: "demo".into(),
                revision: "r".into(),
                engine: "e".into(),
                format: Format::Jpeg,
                jpeg_quality: Some(80),
                init_image: None,
                mask: None,
                mask_channel: MaskChannel::Luminance,
                strength: None,
            },
            visibility: Visibility::Private,
            task_id: Some("cover".into()),
        }
    }

    fn request(original: &Original, body: &str) -> Result<GenerateRequest, Problem> {
        let changes = Changes::from_json(body.as_bytes()).expect("an object");
        changes.request(original, &Reach::default())
    }

    fn refused(original: &Original, body: &str) -> Vec<String> {
        let problem = request(original, body).expect_err(body);
        assert_eq!(problem.code, Code::Invalid);
        let errors = problem.errors.into_iter();
        errors.map(|error| error.field).collect()
    }

    #[test]
    fn what_is_not_said_is_as_it_was_but_for_the_seed() {
        let request = request(&original(), "").expect("valid");
        let asked = br#"{"prompt":"a fox","negative_prompt":"a dog","width":128,"height":64,
            "steps":7,"guidance_scale":2.5,"scheduler":"euler","model":"demo","format":"jpeg",
            "jpeg_quality":80,"visibility":"private","task_id":"cover"}"#;
        assert_eq!(request, GenerateRequest::from_json(asked).expect("valid"));
        assert_eq!((request.seed, request.n), (None, 1));
    }

    #[test]
    fn what_is_said_takes_its_place_and_null_takes_it_away() {
        let body = r#"{"prompt":"a cat","negative_prompt":null,"seed":3,"n":2,"format":"png"}"#;
        let request = request(&original(), body).expect("valid");
        assert_eq!(request.prompt, "a cat");
        assert_eq!((request.seed, request.n), (Some(3), 2));
        assert_eq!(request.negative_prompt, None);
        assert_eq!((request.format, request.jpeg_quality), (Format::Png, None));
        assert_eq!(
            refused(&original(), r#"{"prompt":null,"colour":1}"#),
            ["prompt", "colour"]
        );
    }

    #[test]
    fn pictures_that_are_not_kept_are_asked_for() {
        let mut original = original();
        original.recipe.init_image = Some("digest".into());
        original.recipe.strength = Some(0.5);
        assert_eq!(refused(&original, ""), ["init_image"]);
        let without = request(&original, r#"{"init_image":null}"#).expect("valid");
        assert_eq!((without.strength, without.init_image), (None, None));
        let again = r#"{"init_image":"https://pictures.example/1.png"}"#;
        assert_eq!(
            request(&original, again).expect("valid").strength,
            Some(0.5)
        );

        original.recipe.mask = Some("digest".into());
        original.recipe.mask_channel = MaskChannel::Alpha;
        assert_eq!(refused(&original, "{}"), ["init_image", "mask"]);
        assert_eq!(refused(&original, again), ["mask"]);
        assert!(request(&original, r#"{"init_image":null}"#).is_ok());
        let both = r#"{"init_image":"https://pictures.example/1.png",
            "mask":"https://pictures.example/2.png"}"#;
        let both = request(&original, both).expect("valid");
        assert_eq!(both.mask_channel, MaskChannel::Alpha);
    }

    #[test]
    fn images_are_counted_before_anything_else_is_known() {
        let n = |body: &str| Changes::from_json(body.as_bytes()).expect("an object").n();
        assert_eq!(n("").expect("valid"), 1);
        assert_eq!(n(r#"{"n":10,"other":[]}"#).expect("valid"), 10);
        for body in [r#"{"n":0}"#, r#"{"n":11}"#, r#"{"n":"2"}"#, r#"{"n":1.5}"#] {
            assert_eq!(n(body).expect_err(body).code, Code::Invalid);
        }
        let list = Changes::from_json(b"[1]").expect_err("a list");
        assert_eq!(list.code, Code::Malformed);
    }
}
