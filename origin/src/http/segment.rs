//! A part of the path, as a handler takes it.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use super::ApiError;

/// The one parameter of a route. What is no text (`%ff`, and `%00` to `PostgreSQL`) names nothing
/// that is there; axum's own extractor would say so in plain text.
pub(super) struct Segment(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let text = path.ok().filter(|Path(segment)| !segment.contains('\0'));
        text.map(|Path(segment)| Self(segment))
            .ok_or_else(|| ApiError::not_found("thing"))
    }
}
