//! Conditional requests (RFC 9110, 13.1).

use axum::http::{HeaderMap, HeaderName, header};

/// Whether the caller has what it asks for already: then the answer is 304.
pub(super) fn is_known(request: &HeaderMap, etag: &str) -> bool {
    values(request, &header::IF_NONE_MATCH).any(|known| known == etag || known == "*")
}

/// What must be true of a thing that is to be changed: `None` where the caller did not say.
pub(super) fn required(request: &HeaderMap) -> Option<Vec<String>> {
    let is_said = request.contains_key(header::IF_MATCH);
    is_said.then(|| {
        let names = values(request, &header::IF_MATCH);
        names.map(str::to_owned).collect()
    })
}

/// A CDN that compresses an answer on the way makes a weak tag of a strong one. Ours count
/// versions: weak or not, the caller has seen that one.
fn values<'a>(request: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = request.get_all(name).into_iter();
    // Not one of our tags has a comma in it.
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"))
}
