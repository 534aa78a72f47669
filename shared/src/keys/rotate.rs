//! `POST /api/keys/{id}/rotate`: how a key gets a new text.

use crate::fields::Fields;
use crate::limits::Range;
use crate::problem::Problem;

/// The longest that a text may outlive its rotation: a week.
pub const MAX_GRACE_SECONDS: u64 = 7 * 86_400;

/// A rotation, checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RotateKey {
    /// How long the text before goes on working.
    pub grace_seconds: u64,
}

impl RotateKey {
    /// Reads and checks a request's body; an empty one asks for no grace.
    ///
    /// # Errors
    /// As [`super::CreateKey::from_json`].
    pub fn from_json(body: &[u8]) -> Result<Self, Problem> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        let mut fields = Fields::from_json(body)?;
        let grace = Range {
            min: 0,
            max: MAX_GRACE_SECONDS,
        };
        let grace_seconds = fields.whole("grace_seconds", grace).unwrap_or_default();
        fields.finish(&[])?;
        Ok(Self { grace_seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grace_is_what_was_asked_for_and_none_otherwise() {
        for (body, grace) in [("", 0), ("{}", 0), (r#"{"grace_seconds":60}"#, 60)] {
            let read = RotateKey::from_json(body.as_bytes()).expect("valid");
            assert_eq!(read.grace_seconds, grace);
        }
        for body in [r#"{"grace_seconds":-1}"#, r#"{"grace":1}"#, "[]", "x"] {
            assert!(RotateKey::from_json(body.as_bytes()).is_err(), "{body}");
        }
    }
}
