//! A generate request: its fields, their limits, and the messages for what is wrong.
//!
//! Read by hand rather than by a derive, so that one answer names every field that is wrong.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::problem::{Code, FieldError, Problem};

/// The largest body that is taken, in bytes.
pub const MAX_BODY: usize = 20 * 1024 * 1024;
/// The largest seed: the largest whole number that every JSON reader keeps exact.
pub const MAX_SEED: u64 = (1 << 53) - 1;
const MAX_PIXELS: u64 = 4_194_304;
const MAX_IMAGES: u64 = 10;

/// Fields of the contract that no engine here serves yet: refused by name, never ignored.
const NOT_OFFERED: [&str; 5] = ["init_image", "mask", "strength", "loras", "webhook_url"];

/// File format of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Lossless.
    #[default]
    Png,
    /// Lossless, smaller.
    Webp,
    /// Lossy, smallest.
    Avif,
    /// Lossy, read everywhere.
    Jpeg,
}

impl Format {
    /// Every format there is.
    pub const ALL: &[Self] = &[Self::Png, Self::Webp, Self::Avif, Self::Jpeg];

    /// The name in requests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Avif => "avif",
            Self::Jpeg => "jpeg",
        }
    }

    /// The end of file names.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            other => other.as_str(),
        }
    }

    /// The media type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Avif => "image/avif",
            Self::Jpeg => "image/jpeg",
        }
    }
}

/// Who may fetch a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Everybody who has its address.
    #[default]
    Public,
    /// Its owner, and who has a signed URL.
    Private,
}

impl Visibility {
    /// The name in requests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
        }
    }
}

/// What a caller asks for. Only [`GenerateRequest::from_json`] makes one, so it is checked.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateRequest {
    /// 1 to 10,000 characters.
    pub prompt: String,
    /// Up to 10,000 characters.
    pub negative_prompt: Option<String>,
    /// The caller's label, 1 to 200 printable characters.
    pub task_id: Option<String>,
    /// Pixels: a multiple of 8, 64 to 2048.
    pub width: Option<u32>,
    /// Pixels: a multiple of 8, 64 to 2048.
    pub height: Option<u32>,
    /// 1 to 150.
    pub steps: Option<u32>,
    /// 0 to 30.
    pub guidance_scale: Option<f64>,
    /// 0 to [`MAX_SEED`].
    pub seed: Option<u64>,
    /// Images, 1 to 10.
    pub n: u32,
    /// A name out of the model's list.
    pub scheduler: Option<String>,
    /// A model's name.
    pub model: Option<String>,
    /// File format.
    pub format: Format,
    /// Who may fetch the pictures.
    pub visibility: Visibility,
}

impl GenerateRequest {
    /// Reads and checks a request's body.
    ///
    /// # Errors
    /// [`Code::Malformed`] for a body that is no JSON object, [`Code::Invalid`] with every
    /// offending field for one whose values are not allowed.
    pub fn from_json(body: &[u8]) -> Result<Self, Problem> {
        let value: Value = serde_json::from_slice(body).map_err(|error| {
            Problem::new(Code::Malformed, format!("the body is no JSON: {error}"))
        })?;
        let Value::Object(map) = value else {
            return Err(Problem::new(
                Code::Malformed,
                "the body must be a JSON object",
            ));
        };
        let mut fields = Fields {
            map,
            errors: Vec::new(),
        };
        let request = Self::read(&mut fields);
        fields.refuse_the_rest();
        if fields.errors.is_empty() {
            Ok(request)
        } else {
            Err(Problem::fields(Code::Invalid, fields.errors))
        }
    }

    fn read(fields: &mut Fields) -> Self {
        let prompt = fields.text("prompt", 1, 10_000);
        match &prompt {
            None if !fields.has_error("prompt") => fields.error("prompt", "is needed"),
            Some(prompt) if prompt.trim().is_empty() => {
                fields.error("prompt", "must not be blank");
            }
            _ => {}
        }
        let request = Self {
            prompt: prompt.unwrap_or_default(),
            negative_prompt: fields.text("negative_prompt", 0, 10_000),
            task_id: fields.text("task_id", 1, 200),
            width: fields.side("width"),
            height: fields.side("height"),
            steps: fields.whole("steps", 1, 150).map(|steps| steps as u32),
            guidance_scale: fields.number("guidance_scale", 0.0, 30.0),
            seed: fields.whole("seed", 0, MAX_SEED),
            n: fields.whole("n", 1, MAX_IMAGES).map_or(1, |n| n as u32),
            scheduler: fields.text("scheduler", 1, 100),
            model: fields.text("model", 1, 100),
            format: fields.choice("format", Format::ALL, Format::as_str),
            visibility: fields.choice("visibility", &[Visibility::Public], Visibility::as_str),
        };
        if let (Some(width), Some(height)) = (request.width, request.height)
            && u64::from(width) * u64::from(height) > MAX_PIXELS
        {
            fields.error(
                "width",
                format!("times height must be at most {MAX_PIXELS} pixels"),
            );
        }
        if request
            .task_id
            .as_deref()
            .is_some_and(|id| id.contains(['\t', '\n']))
        {
            fields.error("task_id", "must be printable");
        }
        if request
            .seed
            .is_some_and(|seed| seed + u64::from(request.n) - 1 > MAX_SEED)
        {
            fields.error("seed", format!("plus n - 1 must be at most {MAX_SEED}"));
        }
        request
    }
}

/// The fields that are still to be read, and what was wrong with those that were.
struct Fields {
    map: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Fields {
    fn error(&mut self, field: &str, message: impl Into<String>) {
        self.errors.push(FieldError {
            field: field.to_owned(),
            message: message.into(),
        });
    }

    fn has_error(&self, field: &str) -> bool {
        self.errors.iter().any(|error| error.field == field)
    }

    /// Takes a field out; an explicit null is as good as leaving it out.
    fn take(&mut self, field: &str) -> Option<Value> {
        self.map.remove(field).filter(|value| !value.is_null())
    }

    fn text(&mut self, field: &str, min: usize, max: usize) -> Option<String> {
        let Value::String(text) = self.take(field)? else {
            self.error(field, "must be a string");
            return None;
        };
        let length = text.chars().count();
        if length < min || length > max {
            self.error(
                field,
                format!("must have {min} to {max} characters, has {length}"),
            );
            return None;
        }
        if text
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\t' | '\n'))
        {
            self.error(
                field,
                "must not hold control characters but tab and newline",
            );
            return None;
        }
        Some(text)
    }

    fn whole(&mut self, field: &str, min: u64, max: u64) -> Option<u64> {
        let value = self.take(field)?;
        match value.as_u64() {
            Some(number) if (min..=max).contains(&number) => Some(number),
            _ => {
                self.error(
                    field,
                    format!(
                        "must be a whole number from {min} to {max}, not {}",
                        brief(&value)
                    ),
                );
                None
            }
        }
    }

    fn side(&mut self, field: &str) -> Option<u32> {
        let side = self.whole(field, 64, 2048)?;
        if side % 8 != 0 {
            self.error(field, format!("must be a multiple of 8, not {side}"));
            return None;
        }
        Some(side as u32)
    }

    fn number(&mut self, field: &str, min: f64, max: f64) -> Option<f64> {
        let value = self.take(field)?;
        match value.as_f64() {
            Some(number) if (min..=max).contains(&number) => Some(number),
            _ => {
                self.error(
                    field,
                    format!(
                        "must be a number from {min} to {max}, not {}",
                        brief(&value)
                    ),
                );
                None
            }
        }
    }

    fn choice<T: Copy + Default>(
        &mut self,
        field: &str,
        choices: &[T],
        name: fn(T) -> &'static str,
    ) -> T {
        let Some(value) = self.take(field) else {
            return T::default();
        };
        let chosen = choices
            .iter()
            .find(|choice| value.as_str() == Some(name(**choice)));
        chosen.copied().unwrap_or_else(|| {
            let names: Vec<_> = choices.iter().map(|choice| name(*choice)).collect();
            self.error(field, format!("must be one of: {}", names.join(", ")));
            T::default()
        })
    }

    fn refuse_the_rest(&mut self) {
        for field in std::mem::take(&mut self.map).keys() {
            let message = if NOT_OFFERED.contains(&field.as_str()) {
                "is not offered by this version; leave it out"
            } else {
                "is not a field of this request"
            };
            self.error(&field.chars().take(100).collect::<String>(), message);
        }
    }
}

/// A value for a message: whole where it is short, its kind where it is not.
fn brief(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::String(_) => "a string".into(),
        Value::Array(_) => "an array".into(),
        Value::Object(_) => "an object".into(),
        Value::Null => "null".into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn errors(json: &str) -> Vec<String> {
        let problem = GenerateRequest::from_json(json.as_bytes()).expect_err("refused");
        assert_eq!(problem.code, Code::Invalid, "{problem:?}");
        problem
            .errors
            .into_iter()
            .map(|error| error.field)
            .collect()
    }

    #[test]
    fn a_prompt_is_enough() {
        let request = GenerateRequest::from_json(br#"{"prompt":"a fox"}"#).expect("valid");
        assert_eq!(request.prompt, "a fox");
        assert_eq!((request.n, request.format), (1, Format::Png));
        assert_eq!(request.negative_prompt, None);
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let json = r#"{"prompt":" ","width":100,"height":63,"steps":0,"guidance_scale":31,
            "seed":-1,"n":11,"format":"gif","visibility":"x","task_id":"","colour":"red"}"#;
        let expected = [
            "prompt",
            "task_id",
            "width",
            "height",
            "steps",
            "guidance_scale",
            "seed",
            "n",
            "format",
            "visibility",
            "colour",
        ];
        let mut found = errors(json);
        found.sort();
        let mut sorted = expected.to_vec();
        sorted.sort_unstable();
        assert_eq!(found, sorted);
    }

    #[test]
    fn types_are_not_guessed() {
        for json in [
            r#"{"prompt":"p","steps":"20"}"#,
            r#"{"prompt":"p","steps":20.5}"#,
            r#"{"prompt":"p","steps":20.0}"#,
            r#"{"prompt":"p","steps":true}"#,
        ] {
            assert_eq!(errors(json), ["steps"], "{json}");
        }
        assert_eq!(errors(r#"{"prompt":5}"#), ["prompt"]);
        assert_eq!(errors("{}"), ["prompt"]);
    }

    #[test]
    fn limits_hold_together() {
        assert_eq!(
            errors(r#"{"prompt":"p","seed":9007199254740992}"#),
            ["seed"]
        );
        assert_eq!(
            errors(r#"{"prompt":"p","seed":9007199254740991,"n":2}"#),
            ["seed"]
        );
        let largest = br#"{"prompt":"p","seed":9007199254740991,"width":2048,"height":2048}"#;
        assert!(GenerateRequest::from_json(largest).is_ok());
        assert_eq!(
            errors(&format!(r#"{{"prompt":"{}"}}"#, "x".repeat(10_001))),
            ["prompt"]
        );
        assert_eq!(errors("{\"prompt\":\"a\\u0000b\"}"), ["prompt"]);
        assert!(GenerateRequest::from_json("{\"prompt\":\"a\\n\\tb\"}".as_bytes()).is_ok());
    }

    #[test]
    fn what_is_not_offered_is_refused_not_ignored() {
        assert_eq!(errors(r#"{"prompt":"p","init_image":"x"}"#), ["init_image"]);
        assert_eq!(
            errors(r#"{"prompt":"p","visibility":"private"}"#),
            ["visibility"]
        );
    }

    #[test]
    fn a_body_that_is_no_object_is_malformed() {
        for body in [&b"{"[..], b"[]", b"null", b"\xff", b""] {
            let problem = GenerateRequest::from_json(body).expect_err("refused");
            assert_eq!(problem.code, Code::Malformed);
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = GenerateRequest::from_json(&body).is_ok();
        }
    }
}
