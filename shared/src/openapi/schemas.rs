//! Bodies that are read field by field and so have no type of their own to derive a schema from.
//! Their limits are those that they are checked by.

use serde_json::{Value, json};

use crate::keys::{MAX_GRACE_SECONDS, MAX_LIFETIME_SECONDS};
use crate::limits::{LIMITS, Range, Side};
use crate::posts::{PostStatus, write};
use crate::priority::Priority;
use crate::problem::Code;
use crate::request::{Format, MaskChannel, Visibility};
use crate::scope::Scope;

/// A schema, and its name.
type Named = (&'static str, Value);

/// All of them.
pub(super) fn written() -> Vec<Named> {
    let groups: [Vec<Named>; 8] = [
        generate().into(),
        regenerate().into(),
        keys().into(),
        signatures().into(),
        openai().into(),
        states().into(),
        posts().into(),
        webhooks().into(),
    ];
    groups.concat()
}

fn generate() -> [Named; 1] {
    let picture = "An image's id, a `data:` URL, or an https address";
    [(
        "GenerateRequest",
        object(
            &["prompt"],
            json!({
                "prompt": text(LIMITS.prompt),
                "negative_prompt": text(LIMITS.negative_prompt),
                "task_id": text(LIMITS.task_id),
                "width": side(LIMITS.width),
                "height": side(LIMITS.height),
                "steps": whole(LIMITS.steps),
                "guidance_scale": number(LIMITS.guidance_scale),
                "seed": whole(LIMITS.seed),
                "n": whole(LIMITS.n),
                "scheduler": { "type": "string" },
                "model": { "type": "string" },
                "format": names(Format::ALL.iter().map(|format| format.as_str())),
                "jpeg_quality": whole(LIMITS.jpeg_quality),
                "visibility": names(Visibility::ALL.iter().map(|visibility| visibility.as_str())),
                "previews": whole(LIMITS.previews),
                "init_image": { "type": "string", "description": picture },
                "mask": { "type": "string", "description": picture },
                "webhook_url": { "type": "string", "description": "An https address that is told how the job ends" },
                "mask_channel": names([MaskChannel::Luminance, MaskChannel::Alpha].map(MaskChannel::as_str)),
                "strength": { "type": "number", "exclusiveMinimum": LIMITS.strength.min, "maximum": LIMITS.strength.max },
            }),
        ),
    )]
}

/// The same fields, none of which is required: what is left out is as it was.
fn regenerate() -> [Named; 1] {
    generate().map(|(_, mut schema)| {
        schema["required"] = json!([]);
        ("RegenerateRequest", schema)
    })
}

fn keys() -> [Named; 3] {
    [
        (
            "CreateKey",
            object(
                &[],
                json!({
                    "name": { "type": "string" },
                    "account": { "type": "string" },
                    "scopes": { "type": "array", "items": names(Scope::ALL.iter().map(|scope| scope.as_str())) },
                    "rate_per_minute": { "type": "integer", "minimum": 1 },
                    "daily_images": { "type": "integer", "minimum": 1 },
                    "priority": names(Priority::ALL.iter().map(|priority| priority.as_str())),
                    "expires_in": whole(Range { min: 1, max: MAX_LIFETIME_SECONDS }),
                    "expires_at": { "type": "string", "format": "date-time" },
                }),
            ),
        ),
        (
            "RotateKey",
            object(
                &[],
                json!({ "grace_seconds": whole(Range { min: 0, max: MAX_GRACE_SECONDS }) }),
            ),
        ),
        (
            "IssuedKey",
            json!({ "allOf": [
                { "$ref": "#/components/schemas/Key" },
                { "type": "object", "required": ["key"], "properties": { "key": { "type": "string", "description": "The text, `dk_…`" } } },
            ] }),
        ),
    ]
}

fn signatures() -> [Named; 3] {
    [
        (
            "SignatureAsk",
            object(
                &[],
                json!({
                    "expires_in": { "type": "integer", "minimum": 1, "description": "Seconds" },
                    "ip": { "type": "string", "description": "An address, or a network as 192.0.2.0/24" },
                    "starts_at": { "type": "string", "format": "date-time" },
                }),
            ),
        ),
        (
            "SignedUrl",
            object(
                &["url", "expires_at"],
                json!({
                    "url": { "type": "string" },
                    "expires_at": { "type": "string", "format": "date-time" },
                }),
            ),
        ),
        (
            "SignedCookies",
            object(
                &["cookies", "resource", "expires_at"],
                json!({
                    "cookies": { "type": "object", "additionalProperties": { "type": "string" } },
                    "resource": { "type": "string" },
                    "expires_at": { "type": "string", "format": "date-time" },
                }),
            ),
        ),
    ]
}

fn openai() -> [Named; 5] {
    let generation = json!({
        "prompt": text(LIMITS.prompt),
        "model": { "type": "string", "description": "Any name; unknown ones are the default model" },
        "n": whole(LIMITS.n),
        "size": { "type": "string", "examples": ["auto", "1024x1024"] },
        "quality": { "type": "string", "examples": ["auto", "low", "medium", "high"] },
        "output_format": names(Format::ALL.iter().map(|format| format.as_str())),
        "output_compression": whole(LIMITS.jpeg_quality),
        "response_format": names(["url", "b64_json"]),
        "stream": { "type": "boolean" },
        "partial_images": whole(LIMITS.previews),
        "darkroom": { "type": "object", "description": "Fields of `GenerateRequest` that OpenAI has no word for" },
    });
    let mut edit = generation.clone();
    if let Some(edit) = edit.as_object_mut() {
        edit.insert(
            "image".into(),
            json!({ "type": "string", "description": "A file of the form" }),
        );
        edit.insert(
            "mask".into(),
            json!({ "type": "string", "description": "A file of the form" }),
        );
        edit.insert(
            "images".into(),
            json!({ "type": "array", "items": { "type": "object" } }),
        );
    }
    [
        ("OpenAiGeneration", object(&["prompt"], generation)),
        ("OpenAiEdit", object(&["prompt"], edit)),
        (
            "OpenAiImages",
            object(
                &["created", "data"],
                json!({
                    "created": { "type": "integer" },
                    "data": { "type": "array", "items": { "type": "object", "properties": {
                        "b64_json": { "type": "string" }, "url": { "type": "string" },
                    } } },
                    "darkroom": { "type": "object" },
                }),
            ),
        ),
        (
            "OpenAiModels",
            object(
                &["object", "data"],
                json!({
                    "object": { "const": "list" },
                    "data": { "type": "array", "items": { "type": "object", "required": ["id"], "properties": { "id": { "type": "string" } } } },
                }),
            ),
        ),
        (
            "OpenAiError",
            object(
                &["error"],
                json!({
                    "error": object(&["message", "type"], json!({
                        "message": { "type": "string" },
                        "type": { "type": "string" },
                        "param": { "type": ["string", "null"] },
                        "code": { "type": ["string", "null"], "examples": Code::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>() },
                    })),
                }),
            ),
        ),
    ]
}

fn states() -> [Named; 4] {
    [
        // Derived it would have Rust's names: those of the wire come out of a macro.
        ("Code", names(Code::ALL.iter().map(|code| code.as_str()))),
        (
            "Health",
            object(&["status"], json!({ "status": { "type": "string" } })),
        ),
        (
            "Readiness",
            object(&["ready"], json!({ "ready": { "type": "boolean" } })),
        ),
        (
            "JobEvent",
            json!({ "type": "object", "description": "The fields of `Job` that changed, and on some steps a `preview`" }),
        ),
    ]
}

fn posts() -> [Named; 2] {
    let optional = json!({ "type": ["string", "null"], "maxLength": write::NAME.max });
    let fields = json!({
        "title": text(write::TITLE),
        "slug": { "type": "string", "description": "Made of the title where there is none" },
        "content": { "type": "string", "maxLength": write::MAX_CONTENT },
        "status": names(PostStatus::ALL.iter().map(|status| status.as_str())),
        "author_id": optional,
        "category_id": optional,
        "tags": {
            "type": "array",
            "maxItems": write::MAX_TAGS,
            "items": { "type": "string", "maxLength": write::NAME.max },
        },
        "featured_image": { "type": ["string", "null"], "description": "The id of an image, or of a job" },
        "featured_image_url": { "type": ["string", "null"], "description": "An own image's `url`" },
        "task_id": { "type": "string", "description": "The label of a job that has an image" },
    });
    [
        ("CreatePost", object(&["title"], fields.clone())),
        ("PatchPost", object(&[], fields)),
    ]
}

fn webhooks() -> [Named; 1] {
    [(
        "SigningSecret",
        object(
            &["secret"],
            json!({
                "secret": { "type": "string", "description": "`whsec_…`" },
                "previous_until": { "type": ["string", "null"], "format": "date-time" },
            }),
        ),
    )]
}

#[expect(clippy::needless_pass_by_value, reason = "it is made for this")]
fn object(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "required": required, "properties": properties })
}

fn text(length: Range<u64>) -> Value {
    json!({ "type": "string", "minLength": length.min, "maxLength": length.max })
}

fn whole(range: Range<u64>) -> Value {
    json!({ "type": "integer", "minimum": range.min, "maximum": range.max })
}

fn number(range: Range<f64>) -> Value {
    json!({ "type": "number", "minimum": range.min, "maximum": range.max })
}

fn side(side: Side) -> Value {
    json!({ "type": "integer", "minimum": side.min, "maximum": side.max, "multipleOf": side.multiple_of })
}

fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> Value {
    json!({ "type": "string", "enum": names.into_iter().collect::<Vec<_>>() })
}
