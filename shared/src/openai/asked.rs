//! From what OpenAI's clients send to a generate request.

use serde_json::{Map, Value};

use super::{Kind, Look, form};
use crate::fields::Fields;
use crate::limits::{LIMITS, Range};
use crate::model::Model;
use crate::problem::Problem;

/// Fields of ours that OpenAI has no word for: taken in the object `darkroom`.
pub(super) const DARKROOM: [&str; 11] = [
    "guidance_scale",
    "loras",
    "mask_channel",
    "negative_prompt",
    "scheduler",
    "seed",
    "steps",
    "strength",
    "task_id",
    "visibility",
    "webhook_url",
];
/// Taken and without effect here: hints, and names of people that are none of our business.
const WITHOUT_EFFECT: [&str; 6] = [
    "complexity",
    "input_fidelity",
    "moderation",
    "safety_identifier",
    "style",
    "user",
];
/// Fields of OpenAI's that change what comes back, in a way that is not offered.
const NOT_OFFERED: [&str; 4] = ["frame_count", "frame_duration_ms", "markup", "svg"];

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The body of a generate request. It is still to be checked: what OpenAI has no opinion on is
    /// as it came.
    pub body: Map<String, Value>,
    /// How its answer is to look.
    pub look: Look,
    /// Whether the answer is a stream of events.
    pub stream: bool,
    /// Whether pictures are answered by their addresses instead of their bytes.
    pub by_url: bool,
}

impl Asked {
    /// Reads a JSON body. `models` are what is offered, as far as that is known.
    ///
    /// # Errors
    /// Every field that is wrong, by OpenAI's name.
    pub fn from_json(kind: Kind, body: &[u8], models: &[Model]) -> Result<Self, Problem> {
        Self::read(kind, Fields::from_json(body)?, models)
    }

    /// The same of a form's fields (`multipart/form-data`), files as `data:` URLs.
    ///
    /// # Errors
    /// Every field that is wrong, by OpenAI's name.
    pub fn from_form(
        kind: Kind,
        fields: Vec<(String, String)>,
        models: &[Model],
    ) -> Result<Self, Problem> {
        Self::read(kind, Fields::new(form::to_json(fields)), models)
    }

    fn read(kind: Kind, mut fields: Fields, models: &[Model]) -> Result<Self, Problem> {
        let mut body = darkroom(&mut fields);
        let name = fields.text("model", Range { min: 0, max: 1000 });
        let name = name.unwrap_or_default();
        let model = models.iter().find(|model| model.name == name);
        if let Some(model) = model {
            body.insert("model".into(), model.name.as_str().into());
        }
        for (theirs, ours) in [
            ("prompt", "prompt"),
            ("n", "n"),
            ("output_format", "format"),
        ] {
            if let Some(value) = fields.take(theirs) {
                body.insert(ours.into(), value);
            }
        }
        if let Some(Some((width, height))) = fields.read("size", size) {
            body.insert("width".into(), width.into());
            body.insert("height".into(), height.into());
        }
        // There is no other background than what the picture shows.
        fields.choice("background", &["", "auto", "opaque"], |name| name);
        let quality = fields.choice("quality", &QUALITIES, |quality| quality.name);
        let defaults = Model::named(models, model.map(|model| &*model.name));
        if let (Some((numerator, denominator)), Ok(model)) = (quality.steps, defaults) {
            let steps = model.defaults.steps * numerator / denominator;
            let steps = u64::from(steps).clamp(LIMITS.steps.min, LIMITS.steps.max);
            body.entry("steps").or_insert_with(|| steps.into());
        }
        compression(&mut fields, &mut body);
        if kind == Kind::Edit {
            pictures(&mut fields, &mut body);
        }
        let stream = fields.flag("stream");
        let partial_images = fields.whole("partial_images", LIMITS.previews);
        let partial_images = partial_images.filter(|_| stream).unwrap_or(0);
        if partial_images > 0 {
            body.insert("previews".into(), partial_images.into());
        }
        let by_url = by_url(&mut fields, stream, &name);
        for field in WITHOUT_EFFECT {
            drop(fields.take(field));
        }
        fields.finish(&NOT_OFFERED)?;
        Ok(Self {
            body,
            look: Look {
                kind,
                quality: quality.told,
            },
            stream,
            by_url,
        })
    }
}

/// The fields of the object `darkroom`.
fn darkroom(fields: &mut Fields) -> Map<String, Value> {
    let mut body = Map::new();
    match fields.take("darkroom") {
        None => {}
        Some(Value::Object(map)) => {
            for (name, value) in map {
                if DARKROOM.contains(&&*name) {
                    body.insert(name, value);
                } else {
                    let name: String = name.chars().take(100).collect();
                    let message = format!("must be one of: {}", DARKROOM.join(", "));
                    fields.error(&format!("darkroom.{name}"), message);
                }
            }
        }
        Some(_) => fields.error("darkroom", "must be an object"),
    }
    body
}

/// What a quality makes of the model's steps, and what is told of it.
#[derive(Clone, Copy, Default)]
struct Quality {
    name: &'static str,
    told: &'static str,
    steps: Option<(u32, u32)>,
}

const QUALITIES: [Quality; 8] = [
    quality("auto", "medium", None),
    quality("low", "low", Some((1, 2))),
    quality("medium", "medium", None),
    quality("standard", "medium", None),
    quality("high", "high", Some((3, 2))),
    quality("hd", "high", Some((3, 2))),
    quality("xhigh", "xhigh", Some((2, 1))),
    quality("max", "max", Some((3, 1))),
];

const fn quality(name: &'static str, told: &'static str, steps: Option<(u32, u32)>) -> Quality {
    Quality { name, told, steps }
}

/// `auto`, or width and height; whether they are allowed is for the request's own check.
fn size(text: &str) -> Result<Option<(u64, u64)>, String> {
    if text == "auto" {
        return Ok(None);
    }
    let sides = text.split_once('x').and_then(|(width, height)| {
        let side = |side: &str| {
            let is_plain = side.bytes().all(|byte| byte.is_ascii_digit());
            side.parse().ok().filter(|_| is_plain)
        };
        Some((side(width)?, side(height)?))
    });
    sides
        .map(Some)
        .ok_or_else(|| "must be `auto` or WIDTHxHEIGHT, for example 1024x768".to_owned())
}

/// A JPEG's; of formats that lose nothing it is 100.
fn compression(fields: &mut Fields, body: &mut Map<String, Value>) {
    let percent = fields.whole("output_compression", Range { min: 0, max: 100 });
    let format = body.get("format").and_then(Value::as_str);
    match (percent, format) {
        (None | Some(100), _) | (Some(_), Some("webp")) => {}
        (Some(percent), Some("jpeg")) => {
            let least = LIMITS.jpeg_quality.min;
            body.insert("jpeg_quality".into(), percent.max(least).into());
        }
        _ => {
            let message = "below 100 needs the output_format jpeg or webp";
            fields.error("output_compression", message);
        }
    }
}

/// What to edit. OpenAI's masks say by their transparency where.
fn pictures(fields: &mut Fields, body: &mut Map<String, Value>) {
    let image = fields.take("image").or_else(|| fields.take("images"));
    match image {
        None => fields.error("image", "is needed"),
        Some(image) => insert_picture(fields, body, "image", "init_image", image),
    }
    if let Some(mask) = fields.take("mask") {
        insert_picture(fields, body, "mask", "mask", mask);
        body.entry("mask_channel").or_insert_with(|| "alpha".into());
    }
}

fn insert_picture(
    fields: &mut Fields,
    body: &mut Map<String, Value>,
    theirs: &str,
    ours: &str,
    value: Value,
) {
    match picture(value) {
        Ok(text) => drop(body.insert(ours.into(), text.into())),
        Err(message) => fields.error(theirs, message),
    }
}

/// A picture's text: as it is, or as `image_url` or `file_id` of an object, or one of a list.
fn picture(value: Value) -> Result<String, &'static str> {
    match value {
        Value::String(text) => Ok(text),
        Value::Array(mut items) if items.len() == 1 => picture(items.pop().unwrap_or_default()),
        Value::Array(_) => Err("must be one picture: more, or none, are not offered"),
        Value::Object(mut map) => {
            let named = ["image_url", "file_id"].map(|name| map.remove(name));
            match named.into_iter().flatten().next() {
                Some(Value::String(text)) => Ok(text),
                _ => Err("must have a text `image_url` (a `data:` or https URL) or `file_id`"),
            }
        }
        _ => Err("must be a picture"),
    }
}

/// By address where it is asked for, or by default where the model's name is one of those whose
/// default it was.
fn by_url(fields: &mut Fields, stream: bool, model: &str) -> bool {
    let format = fields.choice("response_format", &["", "url", "b64_json"], |name| name);
    match format {
        "url" if stream => {
            fields.error("response_format", "must be b64_json where `stream` is true");
            false
        }
        "url" => true,
        "" => !stream && model.starts_with("dall-e"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::model::Defaults;
    use crate::request::{Format, GenerateRequest};

    fn models() -> Vec<Model> {
        let model = |name: &str, steps| Model {
            name: name.into(),
            revision: "r".into(),
            engine: "e".into(),
            default: name == "demo",
            defaults: Defaults {
                width: 128,
                height: 128,
                steps,
                guidance_scale: 3.0,
                scheduler: "euler".into(),
            },
            schedulers: vec!["euler".into()],
            formats: vec![Format::Png],
            loras: Vec::new(),
            limits: LIMITS,
        };
        vec![model("turbo", 4), model("demo", 20)]
    }

    fn read(kind: Kind, body: &Value) -> Result<Asked, Problem> {
        Asked::from_json(kind, body.to_string().as_bytes(), &models())
    }

    fn asked(body: &Value) -> Asked {
        let mut with_prompt = json!({ "prompt": "p" });
        for (name, value) in body.as_object().expect("an object") {
            with_prompt[name] = value.clone();
        }
        read(Kind::Generation, &with_prompt).expect("valid")
    }

    fn errors(kind: Kind, body: &Value) -> Vec<String> {
        let problem = read(kind, body).expect_err("refused");
        problem.errors.into_iter().map(|e| e.field).collect()
    }

    #[test]
    fn a_prompt_is_enough_and_everything_has_a_place() {
        let least = asked(&json!({}));
        assert_eq!(Value::from(least.body), json!({ "prompt": "p" }));
        assert!(!least.stream && !least.by_url);

        let all = asked(&json!({
            "model": "turbo", "n": 2, "size": "256x512", "quality": "low", "output_format": "jpeg",
            "output_compression": 0, "response_format": "url", "background": "auto", "user": "u",
            "moderation": "low", "style": "vivid", "stream": false, "partial_images": 3,
            "darkroom": { "seed": 7, "negative_prompt": "x" },
        }));
        let body = json!({
            "prompt": "p", "model": "turbo", "n": 2, "width": 256, "height": 512, "steps": 2,
            "format": "jpeg", "jpeg_quality": 1, "seed": 7, "negative_prompt": "x",
        });
        assert!(GenerateRequest::from_json(body.to_string().as_bytes()).is_ok());
        assert_eq!(Value::from(all.body), body);
        assert!(all.by_url);
    }

    #[test]
    fn any_model_is_taken_and_one_that_is_not_here_is_the_default() {
        for (name, by_url) in [("gpt-image-1", false), ("dall-e-3", true), ("", false)] {
            let asked = asked(&json!({ "model": name, "quality": "hd" }));
            assert_eq!(asked.body.get("model"), None);
            assert_eq!(asked.body["steps"], 30);
            assert_eq!(asked.by_url, by_url);
        }
        let steps = |quality| {
            asked(&json!({ "quality": quality }))
                .body
                .get("steps")
                .cloned()
        };
        assert_eq!(steps("auto"), None);
        assert_eq!(steps("standard"), None);
        assert_eq!(steps("max"), Some(json!(60)));
        // Nothing is known of what is offered.
        let unknown = Asked::from_json(Kind::Generation, br#"{"quality":"low"}"#, &[]);
        assert_eq!(unknown.expect("valid").body.get("steps"), None);
        // Said outright, it counts.
        let asked = asked(&json!({ "quality": "low", "darkroom": { "steps": 3 } }));
        assert_eq!(asked.body["steps"], 3);
    }

    #[test]
    fn a_stream_shows_as_many_previews_as_asked() {
        let asked = asked(&json!({ "stream": true, "partial_images": 2, "model": "dall-e-2" }));
        assert!(asked.stream && !asked.by_url);
        assert_eq!(asked.body["previews"], 2);
        let wrong = json!({ "stream": true, "partial_images": 4, "response_format": "url" });
        assert_eq!(
            errors(Kind::Generation, &wrong),
            ["partial_images", "response_format"]
        );
    }

    #[test]
    fn what_is_wrong_is_named_as_it_was_sent() {
        let mut found = errors(
            Kind::Generation,
            &json!({
                "size": "big", "quality": "best", "background": "transparent", "stream": "yes",
                "output_compression": 50, "response_format": "svg", "model": 5, "svg": {},
                "image": "x", "darkroom": { "prompt": "q", "colour": 1 },
            }),
        );
        found.sort();
        assert_eq!(
            found,
            [
                "background",
                "darkroom.colour",
                "darkroom.prompt",
                "image",
                "model",
                "output_compression",
                "quality",
                "response_format",
                "size",
                "stream",
                "svg",
            ]
        );
        for size in [
            "1024",
            "x",
            "1024x",
            "+1x1",
            "1x1x1",
            "99999999999999999999x1",
        ] {
            assert_eq!(errors(Kind::Generation, &json!({ "size": size })), ["size"]);
        }
        assert_eq!(
            errors(Kind::Generation, &json!({ "darkroom": 1 })),
            ["darkroom"]
        );
    }

    #[test]
    fn an_edit_has_one_picture_however_it_is_said() {
        for body in [
            json!({ "image": "data:x" }),
            json!({ "image": ["data:x"] }),
            json!({ "images": [{ "image_url": "data:x" }] }),
            json!({ "image": { "file_id": "data:x" } }),
        ] {
            let asked = read(Kind::Edit, &body).expect("valid");
            assert_eq!(Value::from(asked.body), json!({ "init_image": "data:x" }));
        }
        let masked = json!({ "image": "a", "mask": { "file_id": "b" } });
        let body = read(Kind::Edit, &masked).expect("valid").body;
        assert_eq!([&body["mask"], &body["mask_channel"]], ["b", "alpha"]);
        let light =
            json!({ "image": "a", "mask": "b", "darkroom": { "mask_channel": "luminance" } });
        let body = read(Kind::Edit, &light).expect("valid").body;
        assert_eq!(body["mask_channel"], "luminance");
        for body in [
            json!({}),
            json!({ "image": [] }),
            json!({ "image": ["a", "b"] }),
            json!({ "image": { "image_url": 5 } }),
            json!({ "image": 5 }),
        ] {
            assert_eq!(errors(Kind::Edit, &body), ["image"]);
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(
            name in proptest::sample::select(&[
                "size", "quality", "image", "images", "mask", "darkroom", "stream", "model",
                "output_compression", "partial_images", "response_format", "background",
            ][..]),
            text in "\\PC{0,10}",
            number: i64,
        ) {
            for value in [json!(text), json!(number), json!([text]), json!({ text: number })] {
                let _ = read(Kind::Edit, &json!({ name: value })).is_ok();
            }
        }
    }
}
