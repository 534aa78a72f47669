//! What goes wrong, as OpenAI tells it.

use serde_json::{Value, json};

use crate::problem::{Code, Problem};

/// The status that a problem has there: for them, a wrong value makes a bad request.
#[must_use]
pub const fn status(problem: &Problem) -> u16 {
    match problem.status {
        422 => 400,
        status => status,
    }
}

/// The envelope: `{"error": {"message", "type", "param", "code"}}`.
#[must_use]
pub fn envelope(problem: &Problem) -> Value {
    let message = if problem.errors.is_empty() {
        problem.detail.clone()
    } else {
        let errors = problem.errors.iter();
        let errors = errors.map(|error| format!("{}: {}", param(&error.field), error.message));
        let mut errors: Vec<_> = errors.collect();
        // Two fields of ours may be one of theirs: width and height are said of `size` once.
        errors.dedup();
        errors.join("; ")
    };
    let kind = match problem.status {
        429 => "rate_limit_error",
        400..500 => "invalid_request_error",
        _ => "server_error",
    };
    let code = match problem.code {
        Code::Unauthorized => "invalid_api_key",
        code => code.as_str(),
    };
    let param = problem.errors.first().map(|error| param(&error.field));
    json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
}

/// The name under which a field was sent.
fn param(field: &str) -> String {
    match field {
        "width" | "height" => "size".to_owned(),
        "format" => "output_format".to_owned(),
        "previews" => "partial_images".to_owned(),
        "init_image" => "image".to_owned(),
        "jpeg_quality" => "output_compression".to_owned(),
        ours if super::asked::DARKROOM.contains(&ours) => format!("darkroom.{ours}"),
        theirs => theirs.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::FieldError;
    use crate::request::GenerateRequest;

    #[test]
    fn fields_are_named_as_they_were_sent() {
        let error = |field: &str| FieldError {
            field: field.into(),
            message: "is wrong".into(),
        };
        let problem = Problem::fields(Code::Invalid, vec![error("width"), error("steps")]);
        assert_eq!(status(&problem), 400);
        assert_eq!(
            envelope(&problem),
            json!({ "error": {
                "message": "size: is wrong; darkroom.steps: is wrong",
                "type": "invalid_request_error",
                "param": "size",
                "code": "invalid_request",
            }})
        );
    }

    #[test]
    fn what_is_wrong_with_both_sides_is_said_of_the_size_once() {
        let body = br#"{"prompt": "p", "width": 1, "height": 1}"#;
        let problem = GenerateRequest::from_json(body).expect_err("too small");
        assert_eq!(problem.errors.len(), 2);
        let error = &envelope(&problem)["error"];
        let message = error["message"].as_str().expect("a text");
        assert_eq!(message.matches("size").count(), 1, "{message}");
        assert_eq!(error["param"], "size");
    }

    #[test]
    fn every_code_has_its_kind() {
        for (code, expected_status, kind, name) in [
            (
                Code::Unauthorized,
                401,
                "invalid_request_error",
                "invalid_api_key",
            ),
            (Code::NotFound, 404, "invalid_request_error", "not_found"),
            (Code::QueueFull, 429, "rate_limit_error", "queue_full"),
            (Code::Unavailable, 503, "server_error", "unavailable"),
        ] {
            let problem = Problem::new(code, "why");
            assert_eq!(status(&problem), expected_status);
            let error = &envelope(&problem)["error"];
            assert_eq!(error["type"], kind);
            assert_eq!(error["code"], name);
            assert_eq!(error["message"], "why");
            assert_eq!(error["param"], Value::Null);
        }
    }
}
