//! What stands in paths, queries and headers.

use serde_json::{Value, json};

use crate::deadline;

/// All of them, by name.
pub(super) fn all() -> Value {
    let described = list().map(|(name, place, schema, description)| {
        let parameter = json!({
            "name": name,
            "in": place,
            "required": place == "path",
            "schema": schema,
            "description": description,
        });
        (name.to_owned(), parameter)
    });
    Value::Object(described.into_iter().collect())
}

/// Name, place, schema, description.
#[expect(clippy::too_many_lines, reason = "a table")]
fn list() -> [(&'static str, &'static str, Value, &'static str); 23] {
    let text = json!({ "type": "string" });
    [
        ("id", "path", text.clone(), "The thing's id"),
        ("file", "path", text.clone(), "The picture's file name"),
        (
            "cursor",
            "query",
            text.clone(),
            "`next_cursor` of the page before",
        ),
        (
            "limit",
            "query",
            json!({ "type": "integer", "minimum": 1, "maximum": 100 }),
            "How many",
        ),
        (
            "deleted",
            "query",
            json!({ "type": "boolean" }),
            "Deleted ones that can be restored, instead of the others",
        ),
        ("status", "query", text.clone(), "Posts of this status"),
        ("author_id", "query", text.clone(), "Posts of this author"),
        (
            "category_id",
            "query",
            text.clone(),
            "Posts of this category",
        ),
        (
            "tag",
            "query",
            text.clone(),
            "Posts with this tag; may be repeated",
        ),
        (
            "q",
            "query",
            text.clone(),
            "Posts that hold all of these words",
        ),
        (
            "updated_since",
            "query",
            json!({ "type": "string", "format": "date-time" }),
            "Posts that were changed since then",
        ),
        (
            "If-Match",
            "header",
            text.clone(),
            "Only where this is still the `ETag`",
        ),
        (
            "Expires",
            "query",
            text.clone(),
            "Of a canned policy: Unix seconds",
        ),
        ("Policy", "query", text.clone(), "A custom policy"),
        ("Signature", "query", text.clone(), "The signature"),
        ("Key-Pair-Id", "query", text.clone(), "The public key's id"),
        (
            "Hash-Algorithm",
            "query",
            text.clone(),
            "`SHA256`, where it is not SHA-1",
        ),
        (
            "Prefer",
            "header",
            text.clone(),
            "`wait=N`: at most N seconds, 60 unless told; `respond-async`: not at all",
        ),
        (
            "Darkroom-Deadline",
            "header",
            json!({ "type": "integer", "minimum": 1, "maximum": deadline::MAX_SECONDS }),
            "Seconds within which the pictures are needed",
        ),
        (
            "Idempotency-Key",
            "header",
            json!({ "type": "string", "minLength": 1, "maxLength": 255 }),
            "Makes the call safe to repeat",
        ),
        (
            "Last-Event-ID",
            "header",
            text.clone(),
            "Goes on behind that event",
        ),
        ("Range", "header", text.clone(), "A part of the picture"),
        (
            "If-None-Match",
            "header",
            text,
            "The `ETag` of a copy in hand",
        ),
    ]
}
