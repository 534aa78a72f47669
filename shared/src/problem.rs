//! Errors as clients see them: problem documents (RFC 9457) with a stable code.

use serde::{Deserialize, Serialize};

/// The media type of a problem document.
pub const CONTENT_TYPE: &str = "application/problem+json";

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal, $title:literal;)*) => {
        /// What went wrong, as a name that never changes. Status and title belong to the code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl Code {
            /// Every code there is.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name that goes over the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The HTTP status it is answered with.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// A short sentence for people.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

codes! {
    /// The body is no JSON, or not of the request's form.
    Malformed = "malformed_request", 400, "The request cannot be read";
    /// No key, or one that is not known.
    Unauthorized = "unauthorized", 401, "A valid API key is needed";
    /// A known key without the scope that the route needs.
    Forbidden = "forbidden", 403, "The key does not allow this";
    /// A private picture's address without a signature that is good here and now.
    SignatureRefused = "signature_refused", 403, "A valid signed URL is needed";
    /// No such thing, or another caller's.
    NotFound = "not_found", 404, "There is no such thing here";
    /// The route exists, but not for this method.
    MethodNotAllowed = "method_not_allowed", 405, "The method is not offered here";
    /// The job was canceled before it finished.
    Canceled = "canceled", 409, "The job was canceled";
    /// A call with the same `Idempotency-Key` is being answered.
    IdempotencyConflict = "idempotency_conflict", 409, "The same call is being answered";
    /// The thing has changed since the caller read it (`If-Match`).
    PreconditionFailed = "precondition_failed", 412, "The thing has changed in the meantime";
    /// The body is larger than what is taken.
    TooLarge = "body_too_large", 413, "The body is too large";
    /// The body's media type is not taken.
    UnsupportedMediaType = "unsupported_media_type", 415, "The media type is not supported";
    /// The request reads well, but its values are not allowed.
    Invalid = "invalid_request", 422, "The request has invalid values";
    /// Another call was sent with the same `Idempotency-Key`.
    IdempotencyMismatch = "idempotency_mismatch", 422, "The Idempotency-Key belongs to another call";
    /// More calls than the key may make in so short a time.
    RateLimited = "rate_limited", 429, "Too many requests";
    /// The day's images of the key are used up.
    QuotaExceeded = "quota_exceeded", 429, "The day's images are used up";
    /// Too many jobs are waiting.
    QueueFull = "queue_full", 429, "The queue is full";
    /// Too many of the account's jobs are waiting; there may be room for others'.
    AccountQueueFull = "account_queue_full", 429, "Too many of the account's jobs are waiting";
    /// The pictures would not be done by the time that the caller needs them.
    DeadlineMissed = "deadline_missed", 429, "The deadline cannot be met";
    /// The engine could not make the picture.
    GenerationFailed = "generation_failed", 500, "The picture could not be made";
    /// The origin could not be reached, or did not answer as one.
    OriginUnreachable = "origin_unreachable", 502, "The origin cannot be reached";
    /// The picture was made, but the store did not take it.
    StorageUnavailable = "storage_unavailable", 503, "The picture store cannot be reached";
    /// Starting, draining or overloaded.
    Unavailable = "unavailable", 503, "The service is not ready";
    /// The origin did not answer in time.
    OriginTimeout = "origin_timeout", 504, "The origin did not answer in time";
    /// A defect or a failing disk: the caller did nothing wrong. A name that only a newer
    /// neighbour knows is read as this.
    #[serde(other)]
    Internal = "internal_error", 500, "Something went wrong on our side";
}

/// One field that is wrong, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldError {
    /// The field's name, with a path into nested values (`loras[0].weight`).
    pub field: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// A problem document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// Always `about:blank`: the code says more than an address would.
    #[serde(rename = "type")]
    pub kind: String,
    /// [`Code::title`].
    pub title: String,
    /// [`Code::status`].
    pub status: u16,
    /// The stable name of what went wrong.
    pub code: Code,
    /// What happened this time, for people.
    pub detail: String,
    /// The offending fields, where there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Seconds after which the same request may do better, where more is known than its code says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// In about how many seconds the pictures would have been done, where that was the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_seconds: Option<f64>,
    /// The request's id, to be quoted to support.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The [`Job`](crate::job::Job) that failed, where a waiting call ended in one. Nobody here
    /// looks into it, so that it is not taken apart either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::job::Job>))]
    pub job: Option<serde_json::Value>,
}

impl Problem {
    /// A problem of `code`; `detail` says what happened this time.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank".to_owned(),
            title: code.title().to_owned(),
            status: code.status(),
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            eta_seconds: None,
            request_id: None,
            job: None,
        }
    }

    /// A problem that names fields. The detail repeats them, for clients that show only that.
    #[must_use]
    pub fn fields(code: Code, errors: Vec<FieldError>) -> Self {
        let detail = errors
            .iter()
            .map(|error| format!("{}: {}", error.field, error.message))
            .collect::<Vec<_>>()
            .join("; ");
        Self {
            errors,
            ..Self::new(code, detail)
        }
    }

    /// Seconds after which the same request may do better, for `Retry-After`.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u32> {
        self.retry_after.or(match self.code {
            // Of a job whose deadline passed while it waited nobody has estimated more.
            Code::QueueFull
            | Code::AccountQueueFull
            | Code::DeadlineMissed
            | Code::StorageUnavailable => Some(10),
            Code::OriginUnreachable | Code::Unavailable | Code::OriginTimeout => Some(5),
            _ => None,
        })
    }

    /// The document's bytes.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| String::from("{}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_written_with_its_codes_status() {
        let problem = Problem::fields(
            Code::Invalid,
            vec![FieldError {
                field: "steps".into(),
                message: "0 is not between 1 and 150".into(),
            }],
        );
        let json: serde_json::Value = serde_json::from_str(&problem.to_json()).expect("JSON");
        assert_eq!(json["code"], "invalid_request");
        assert_eq!(json["status"], 422);
        assert_eq!(json["errors"][0]["field"], "steps");
        assert_eq!(json["detail"], "steps: 0 is not between 1 and 150");
        assert!(json.get("request_id").is_none());
    }

    #[test]
    fn whatever_may_pass_says_when_to_try_again() {
        for code in Code::ALL {
            let says = Problem::new(*code, "why").retry_after_seconds().is_some();
            let is_for_a_moment = match code {
                // They come with what the caller's own books say.
                Code::RateLimited | Code::QuotaExceeded => false,
                code => matches!(code.status(), 429 | 502..=504),
            };
            assert_eq!(says, is_for_a_moment, "{}", code.as_str());
        }
    }

    #[test]
    fn wire_names_are_unique_and_equal_to_their_serialisation() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        for code in Code::ALL {
            let json = serde_json::to_value(code).expect("JSON");
            assert_eq!(json, code.as_str());
            assert!((400..600).contains(&code.status()));
        }
        let newer: Code = serde_json::from_str("\"not_known_yet\"").expect("read");
        assert_eq!(newer, Code::Internal);
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
    }
}
