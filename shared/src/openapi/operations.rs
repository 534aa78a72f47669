//! Every operation of the edge: who may, what is sent, what is answered. The statuses of a route
//! follow from what it does, by the groups below.

/// One method of one path.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// In upper case.
    pub method: &'static str,
    /// With `{id}` and `{file}`.
    pub path: &'static str,
    /// In one sentence.
    pub summary: &'static str,
    /// One of these is enough; none means that anybody may.
    pub scopes: &'static [&'static str],
    /// Whether anybody may all the same, and sees less without a key.
    pub is_public: bool,
    /// The schema of the body.
    pub body: Option<Body>,
    /// Answers that are no problem.
    pub answers: &'static [(u16, Content)],
    /// Groups of problems' statuses.
    pub problems: &'static [&'static [u16]],
    /// Names of query parameters and headers, out of `parameters`.
    pub parameters: &'static [&'static str],
}

/// What a request's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// JSON of a schema.
    Json(&'static str),
    /// The same, which may be left out.
    OptionalJson(&'static str),
    /// JSON or a form with files.
    JsonOrForm(&'static str),
}

/// What an answer's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// None.
    Empty,
    /// JSON of a schema.
    Json(&'static str),
    /// JSON of a schema, or Server-Sent Events where that was asked for.
    JsonOrEvents(&'static str),
    /// Server-Sent Events.
    Events,
    /// A picture's bytes.
    Picture,
}

use Body::{Json as JsonBody, JsonOrForm, OptionalJson};
use Content::{Empty, Events, Json, JsonOrEvents, Picture};

/// A query that is too long; a failure of ours.
const ANY: &[u16] = &[400, 500];
/// Without a key, with one that lacks the scope, too often.
const KEYED: &[u16] = &[401, 403, 429];
/// The origin is away, is not ready, or takes too long.
const ORIGIN: &[u16] = &[502, 503, 504];
/// No such thing, or another caller's.
const THING: &[u16] = &[404];
/// A body that is too large, of another media type, or of values that are not allowed.
const SENT: &[u16] = &[413, 415, 422];
/// An `Idempotency-Key` that is being answered, or that belongs to another call.
const ONCE: &[u16] = &[409, 422];
/// `If-Match` names another version.
const CHANGED: &[u16] = &[412];
/// The stores of the edge.
const STORE: &[u16] = &[503];
/// Too often, by address: nobody says who asks.
const ADDRESS: &[u16] = &[429];
/// A signature that is not good here and now.
const SIGNED: &[u16] = &[403];
/// A part of a picture that it does not have.
const PART: &[u16] = &[416];

const MAKER: &[&str] = &["generate"];
const READER: &[&str] = &["read"];
const EITHER: &[&str] = &["read", "generate"];
const WRITER: &[&str] = &["posts:write"];
/// Without a key there are published posts alone.
const POSTS_READER: &[&str] = &["read", "posts:write"];
const ADMIN: &[&str] = &["admin"];

const fn open(method: &'static str, path: &'static str, summary: &'static str) -> Operation {
    Operation {
        method,
        path,
        summary,
        scopes: &[],
        is_public: false,
        body: None,
        answers: &[],
        problems: &[ANY],
        parameters: &[],
    }
}

/// All of them, in the order of the edge's own table.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        scopes: MAKER,
        body: Some(JsonBody("GenerateRequest")),
        answers: &[(200, Json("Generated")), (202, Json("Generated"))],
        problems: &[ANY, KEYED, SENT, ONCE, ORIGIN],
        parameters: &["Prefer", "Darkroom-Deadline", "Idempotency-Key"],
        ..open(
            "POST",
            "/api/media/generate-image",
            "Make pictures, and wait for them unless told",
        )
    },
    Operation {
        scopes: READER,
        answers: &[(200, Json("Page_Job"))],
        problems: &[ANY, KEYED, &[422], ORIGIN],
        parameters: &["cursor", "limit"],
        ..open("GET", "/api/jobs", "List the account's jobs, newest first")
    },
    Operation {
        scopes: EITHER,
        answers: &[(200, Json("Job"))],
        problems: &[ANY, KEYED, THING, ORIGIN],
        ..open("GET", "/api/jobs/{id}", "Show a job")
    },
    Operation {
        scopes: MAKER,
        answers: &[(200, Json("Job"))],
        problems: &[ANY, KEYED, THING, ORIGIN],
        ..open(
            "DELETE",
            "/api/jobs/{id}",
            "Cancel a job; others who share it keep it",
        )
    },
    Operation {
        scopes: EITHER,
        answers: &[(200, Events)],
        problems: &[ANY, KEYED, THING, ORIGIN],
        parameters: &["Last-Event-ID"],
        ..open("GET", "/api/jobs/{id}/events", "Follow a job")
    },
    Operation {
        scopes: READER,
        answers: &[(200, Json("Page_ListedImage"))],
        problems: &[ANY, KEYED, &[422], ORIGIN],
        parameters: &["cursor", "limit", "deleted"],
        ..open(
            "GET",
            "/api/images",
            "List the account's images, newest first",
        )
    },
    Operation {
        scopes: EITHER,
        answers: &[(200, Json("Image"))],
        problems: &[ANY, KEYED, THING, ORIGIN],
        ..open("GET", "/api/images/{id}", "Show what is known of an image")
    },
    Operation {
        scopes: MAKER,
        answers: &[(204, Empty)],
        problems: &[ANY, KEYED, THING, ORIGIN],
        ..open(
            "DELETE",
            "/api/images/{id}",
            "Delete an image, for everybody; it can be restored for a while",
        )
    },
    Operation {
        scopes: MAKER,
        answers: &[(200, Json("Image"))],
        problems: &[ANY, KEYED, THING, ONCE, ORIGIN],
        parameters: &["Idempotency-Key"],
        ..open(
            "POST",
            "/api/images/{id}/restore",
            "Bring a deleted image back",
        )
    },
    Operation {
        scopes: EITHER,
        answers: &[(200, Json("Page_ListedImage"))],
        problems: &[ANY, KEYED, THING, &[422], ORIGIN],
        parameters: &["cursor", "limit"],
        ..open(
            "GET",
            "/api/images/{id}/versions",
            "List an image, what it was made anew of, and what was made anew of it, newest first",
        )
    },
    Operation {
        scopes: MAKER,
        body: Some(OptionalJson("RegenerateRequest")),
        answers: &[(200, Json("Generated")), (202, Json("Generated"))],
        problems: &[ANY, KEYED, THING, SENT, ONCE, ORIGIN],
        parameters: &["Prefer", "Darkroom-Deadline", "Idempotency-Key"],
        ..open(
            "POST",
            "/api/images/{id}/regenerate",
            "Make an image anew, with another seed unless told, and with changes",
        )
    },
    Operation {
        scopes: EITHER,
        answers: &[(200, Json("Page_Model"))],
        problems: &[ANY, KEYED, ORIGIN],
        ..open("GET", "/api/models", "List what can be asked for")
    },
    Operation {
        scopes: POSTS_READER,
        is_public: true,
        answers: &[(200, Json("Page_Post")), (304, Empty)],
        problems: &[ANY, KEYED, &[422], ORIGIN],
        parameters: &[
            "cursor",
            "limit",
            "status",
            "author_id",
            "category_id",
            "tag",
            "q",
            "updated_since",
            "If-None-Match",
        ],
        ..open(
            "GET",
            "/api/posts",
            "List posts, newest first: published ones, and with a key the account's own",
        )
    },
    Operation {
        scopes: WRITER,
        body: Some(JsonBody("CreatePost")),
        answers: &[(201, Json("Post"))],
        problems: &[ANY, KEYED, SENT, ONCE, ORIGIN],
        parameters: &["Idempotency-Key"],
        ..open("POST", "/api/posts", "Write a post")
    },
    Operation {
        scopes: POSTS_READER,
        is_public: true,
        answers: &[(200, Json("Post")), (304, Empty)],
        problems: &[ANY, KEYED, THING, ORIGIN],
        parameters: &["If-None-Match"],
        ..open("GET", "/api/posts/{id}", "Show a post; `id` is its slug")
    },
    Operation {
        scopes: WRITER,
        body: Some(JsonBody("PatchPost")),
        answers: &[(200, Json("Post"))],
        problems: &[ANY, KEYED, THING, SENT, ONCE, CHANGED, ORIGIN],
        parameters: &["If-Match"],
        ..open(
            "PATCH",
            "/api/posts/{id}",
            "Change a post; null takes a field away",
        )
    },
    Operation {
        scopes: WRITER,
        answers: &[(204, Empty)],
        problems: &[ANY, KEYED, THING, CHANGED, ORIGIN],
        parameters: &["If-Match"],
        ..open(
            "DELETE",
            "/api/posts/{id}",
            "Delete a post; it can be restored",
        )
    },
    Operation {
        scopes: WRITER,
        answers: &[(200, Json("Post"))],
        problems: &[ANY, KEYED, THING, ONCE, ORIGIN],
        parameters: &["Idempotency-Key"],
        ..open(
            "POST",
            "/api/posts/{id}/restore",
            "Bring a deleted post back",
        )
    },
    Operation {
        scopes: READER,
        answers: &[(200, Json("Page_Delivery"))],
        problems: &[ANY, KEYED, &[422], ORIGIN],
        parameters: &["cursor", "limit"],
        ..open(
            "GET",
            "/api/webhooks/deliveries",
            "List what webhooks were told, newest first",
        )
    },
    Operation {
        scopes: MAKER,
        answers: &[(204, Empty)],
        problems: &[ANY, KEYED, THING, ONCE, ORIGIN],
        parameters: &["Idempotency-Key"],
        ..open(
            "POST",
            "/api/webhooks/deliveries/{id}/resend",
            "Tell a webhook again",
        )
    },
    Operation {
        scopes: MAKER,
        answers: &[(200, Json("SigningSecret"))],
        problems: &[ANY, KEYED, ORIGIN],
        ..open(
            "GET",
            "/api/webhooks/secret",
            "Show what webhooks are signed with",
        )
    },
    Operation {
        scopes: MAKER,
        answers: &[(200, Json("SigningSecret"))],
        problems: &[ANY, KEYED, ONCE, ORIGIN],
        parameters: &["Idempotency-Key"],
        ..open(
            "POST",
            "/api/webhooks/secret",
            "Sign with a new secret; the old one signs for a day more",
        )
    },
    Operation {
        scopes: MAKER,
        body: Some(JsonBody("OpenAiGeneration")),
        answers: &[(200, JsonOrEvents("OpenAiImages"))],
        problems: &[ANY, KEYED, SENT, ONCE, ORIGIN],
        parameters: &["Darkroom-Deadline", "Idempotency-Key"],
        ..open(
            "POST",
            "/v1/images/generations",
            "OpenAI's way to make pictures",
        )
    },
    Operation {
        scopes: MAKER,
        body: Some(JsonOrForm("OpenAiEdit")),
        answers: &[(200, JsonOrEvents("OpenAiImages"))],
        problems: &[ANY, KEYED, SENT, ONCE, ORIGIN],
        parameters: &["Darkroom-Deadline", "Idempotency-Key"],
        ..open(
            "POST",
            "/v1/images/edits",
            "OpenAI's way to make pictures of pictures",
        )
    },
    Operation {
        scopes: EITHER,
        answers: &[(200, Json("OpenAiModels"))],
        problems: &[ANY, KEYED, ORIGIN],
        ..open("GET", "/v1/models", "OpenAI's way to list models")
    },
    Operation {
        scopes: ADMIN,
        answers: &[(200, Json("Page_Key"))],
        problems: &[ANY, KEYED, &[422], STORE],
        parameters: &["cursor", "limit"],
        ..open("GET", "/api/keys", "List all keys, oldest first")
    },
    Operation {
        scopes: ADMIN,
        body: Some(JsonBody("CreateKey")),
        answers: &[(201, Json("IssuedKey"))],
        problems: &[ANY, KEYED, SENT, ONCE, STORE],
        parameters: &["Idempotency-Key"],
        ..open(
            "POST",
            "/api/keys",
            "Create a key; its text is shown this one time",
        )
    },
    Operation {
        scopes: ADMIN,
        answers: &[(204, Empty)],
        problems: &[ANY, KEYED, THING, STORE],
        ..open("DELETE", "/api/keys/{id}", "End a key for good")
    },
    Operation {
        scopes: ADMIN,
        body: Some(OptionalJson("RotateKey")),
        answers: &[(200, Json("IssuedKey"))],
        problems: &[ANY, KEYED, THING, SENT, ONCE, STORE],
        parameters: &["Idempotency-Key"],
        ..open(
            "POST",
            "/api/keys/{id}/rotate",
            "Give a key a new text, shown this one time",
        )
    },
    Operation {
        scopes: EITHER,
        body: Some(OptionalJson("SignatureAsk")),
        answers: &[(200, Json("SignedUrl"))],
        problems: &[ANY, KEYED, THING, SENT, ONCE, ORIGIN],
        parameters: &["Idempotency-Key"],
        ..open(
            "POST",
            "/api/images/{id}/signed-url",
            "Sign a private image's address",
        )
    },
    Operation {
        scopes: ADMIN,
        body: Some(OptionalJson("SignatureAsk")),
        answers: &[(200, Json("SignedCookies"))],
        problems: &[ANY, KEYED, SENT, ONCE, STORE],
        parameters: &["Idempotency-Key"],
        ..open(
            "POST",
            "/api/signed-cookies",
            "Sign cookies that open every private image",
        )
    },
    Operation {
        answers: &[(200, Picture), (206, Picture), (302, Empty), (304, Empty)],
        problems: &[ANY, THING, CHANGED, PART, ADDRESS, ORIGIN],
        parameters: &["Range", "If-Match", "If-None-Match"],
        ..open("GET", "/generated/{file}", "Fetch a public picture")
    },
    Operation {
        answers: &[(200, Empty), (302, Empty), (304, Empty)],
        problems: &[ANY, THING, CHANGED, ADDRESS, ORIGIN],
        parameters: &["If-Match", "If-None-Match"],
        ..open("HEAD", "/generated/{file}", "The same, headers alone")
    },
    Operation {
        answers: &[(204, Empty)],
        ..open(
            "OPTIONS",
            "/generated/{file}",
            "Let a page of another site ask",
        )
    },
    Operation {
        answers: &[(200, Picture), (206, Picture), (302, Empty), (304, Empty)],
        problems: &[ANY, SIGNED, THING, CHANGED, PART, ADDRESS, ORIGIN],
        parameters: &[
            "Expires",
            "Policy",
            "Signature",
            "Key-Pair-Id",
            "Hash-Algorithm",
            "Range",
            "If-Match",
            "If-None-Match",
        ],
        ..open(
            "GET",
            "/private/generated/{file}",
            "Fetch a private picture by its signed URL",
        )
    },
    Operation {
        answers: &[(200, Empty), (302, Empty), (304, Empty)],
        problems: &[ANY, SIGNED, THING, CHANGED, ADDRESS, ORIGIN],
        parameters: &[
            "Expires",
            "Policy",
            "Signature",
            "Key-Pair-Id",
            "Hash-Algorithm",
            "If-Match",
            "If-None-Match",
        ],
        ..open(
            "HEAD",
            "/private/generated/{file}",
            "The same, headers alone",
        )
    },
    Operation {
        answers: &[(204, Empty)],
        ..open(
            "OPTIONS",
            "/private/generated/{file}",
            "Let a page of another site ask",
        )
    },
    Operation {
        answers: &[(200, Json("Health"))],
        ..open("GET", "/healthz", "Whether the edge is up")
    },
    Operation {
        answers: &[(200, Empty)],
        ..open("HEAD", "/healthz", "The same, headers alone")
    },
    Operation {
        answers: &[(200, Json("Readiness")), (503, Json("Readiness"))],
        problems: &[ANY, ADDRESS],
        ..open("GET", "/readyz", "Whether pictures can be made")
    },
    Operation {
        answers: &[(200, Empty), (503, Empty)],
        problems: &[ANY, ADDRESS],
        ..open("HEAD", "/readyz", "The same, headers alone")
    },
];
