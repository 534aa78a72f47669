//! Log lines: one JSON object each, as the origin's are. Where no request is known, its id is
//! empty.

use std::fmt::Display;

use serde_json::json;
use worker::{console_error, console_warn};

/// Something is wrong that a person has to look at.
pub fn error(request_id: &str, message: impl Display) {
    console_error!("{}", line("error", request_id, &message));
}

/// Something went wrong, and the request goes on without it.
pub fn warn(request_id: &str, message: impl Display) {
    console_warn!("{}", line("warn", request_id, &message));
}

fn line(level: &str, request_id: &str, message: &dyn Display) -> String {
    let message = message.to_string();
    let request_id = Some(request_id).filter(|id| !id.is_empty());
    json!({ "level": level, "message": message, "request_id": request_id }).to_string()
}
