//! What came of a request, as OpenAI tells it: in one document, or event by event.

use serde_json::{Map, Value, json};

use super::Kind;
use crate::job::{Image, Job};
use crate::model::Model;
use crate::recipe::Recipe;

/// What an answer repeats of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Names the events.
    pub kind: Kind,
    /// As OpenAI calls it.
    pub quality: &'static str,
}

impl Look {
    /// The fields that every answer and event has.
    fn common(self, recipe: &Recipe) -> Map<String, Value> {
        let mut fields = Map::new();
        let size = format!("{}x{}", recipe.width, recipe.height);
        for (name, value) in [
            ("background", "opaque"),
            ("output_format", recipe.format.as_str()),
            ("quality", self.quality),
            ("size", &size),
        ] {
            fields.insert(name.into(), value.into());
        }
        fields
    }

    /// The document (`ImagesResponse`) in two parts: what stands before the list of pictures and
    /// what stands after it. They are many and large, and are written between the two one by one.
    #[must_use]
    pub fn document(self, job: &Job, images: &[Image]) -> (String, &'static str) {
        let mut fields = self.common(&job.recipe);
        fields.insert("created".into(), job.created_at.div_euclid(1000).into());
        fields.insert("usage".into(), usage());
        // What OpenAI has no place for: to make it again, or to go on from it.
        let ours = json!({ "job_id": job.id, "images": images, "recipe": job.recipe });
        fields.insert("darkroom".into(), ours);
        let mut head = Value::Object(fields).to_string();
        head.pop();
        head.push_str(r#","data":["#);
        (head, "]}")
    }

    /// A rough picture, given as a `data:` URL, of number `index` in the stream.
    #[must_use]
    pub fn partial(self, recipe: &Recipe, url: &str, index: u32, now: i64) -> String {
        let mut fields = self.common(recipe);
        let base64 = url.split_once(',').map_or(url, |(_, base64)| base64);
        fields.insert("b64_json".into(), base64.into());
        fields.insert("partial_image_index".into(), index.into());
        self.event("partial_image", fields, now)
    }

    /// A finished picture, in base64.
    #[must_use]
    pub fn completed(self, recipe: &Recipe, base64: String, now: i64) -> String {
        let mut fields = self.common(recipe);
        fields.insert("b64_json".into(), base64.into());
        fields.insert("usage".into(), usage());
        self.event("completed", fields, now)
    }

    fn event(self, name: &str, mut fields: Map<String, Value>, now: i64) -> String {
        let group = match self.kind {
            Kind::Generation => "image_generation",
            Kind::Edit => "image_edit",
        };
        let name = format!("{group}.{name}");
        fields.insert("type".into(), name.as_str().into());
        fields.insert("created_at".into(), now.into());
        event(&name, &Value::Object(fields))
    }
}

/// A Server-Sent Event.
#[must_use]
pub fn event(name: &str, data: &Value) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

/// Nothing here is counted in tokens; clients want the fields.
fn usage() -> Value {
    json!({
        "input_tokens": 0,
        "input_tokens_details": { "image_tokens": 0, "text_tokens": 0 },
        "output_tokens": 0,
        "total_tokens": 0,
    })
}

/// `GET /v1/models`
#[must_use]
pub fn models(models: &[Model]) -> Value {
    let model = |model: &Model| json!({ "id": model.name, "object": "model", "created": 0, "owned_by": "darkroom" });
    let data: Vec<_> = models.iter().map(model).collect();
    json!({ "object": "list", "data": data })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Progress, Status};
    use crate::request::{Format, MaskChannel};

    fn job() -> Job {
        Job {
            id: "1".into(),
            status: Status::Succeeded,
            task_id: None,
            created_at: 1_700_000_000_999,
            started_at: None,
            finished_at: None,
            progress: Progress::default(),
            queue_position: None,
            eta_seconds: None,
            images: Vec::new(),
            error: None,
            recipe: Recipe {
                prompt: "p".into(),
                negative_prompt: None,
                width: 64,
                height: 128,
                steps: 4,
                guidance_scale: 3.0,
                scheduler: "euler".into(),
                seed: 7,
                model: "demo".into(),
                revision: "r".into(),
                engine: "e".into(),
                format: Format::Webp,
                jpeg_quality: None,
                init_image: None,
                mask: None,
                mask_channel: MaskChannel::default(),
                strength: None,
            },
        }
    }

    const LOOK: Look = Look {
        kind: Kind::Edit,
        quality: "high",
    };

    #[test]
    fn the_document_is_whole_with_any_number_of_pictures() {
        let job = job();
        let (head, tail) = LOOK.document(&job, &[]);
        for pictures in ["", r#"{"url":"x"}"#, r#"{"url":"x"},{"url":"y"}"#] {
            let whole: Value =
                serde_json::from_str(&format!("{head}{pictures}{tail}")).expect("JSON");
            assert_eq!(whole["created"], 1_700_000_000);
            assert_eq!(whole["size"], "64x128");
            assert_eq!(whole["output_format"], "webp");
            assert_eq!(whole["quality"], "high");
            assert_eq!(whole["darkroom"]["recipe"]["seed"], 7);
            assert!(whole["data"].is_array());
        }
    }

    #[test]
    fn events_are_named_after_the_endpoint() {
        let recipe = job().recipe;
        let data = |event: &str, name: &str| -> Value {
            let data = event.strip_prefix(&format!("event: {name}\ndata: "));
            serde_json::from_str(data.expect("the name").trim_end()).expect("JSON")
        };
        let partial = LOOK.partial(&recipe, "data:image/png;base64,AAAA", 2, 5);
        let partial = data(&partial, "image_edit.partial_image");
        assert_eq!(partial["type"], "image_edit.partial_image");
        assert_eq!(partial["b64_json"], "AAAA");
        assert_eq!(partial["partial_image_index"], 2);
        assert_eq!(partial["created_at"], 5);
        let generation = Look {
            kind: Kind::Generation,
            ..LOOK
        };
        let completed = generation.completed(&recipe, "BBBB".into(), 6);
        let completed = data(&completed, "image_generation.completed");
        assert_eq!(completed["b64_json"], "BBBB");
        assert_eq!(completed["usage"]["total_tokens"], 0);
    }
}
