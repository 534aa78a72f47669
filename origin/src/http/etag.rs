//! Conditional requests (RFC 9110, 13.1).

use axum::http::{HeaderMap, HeaderName, header};

/// Whether the caller has what it asks for already: then the answer is 304.
pub(super) fn is_known(request: &HeaderMap, etag: &str) -> bool {
    let names = values(request, &header::IF_NONE_MATCH);
    // A weak comparison: who has the same thing need not be sent it again.
    names
        .map(|known| known.trim_start_matches("W/"))
        .any(|known| known == etag || known == "*")
}

/// What must be true of a thing that is to be changed: `None` where the caller did not say.
pub(super) fn required(request: &HeaderMap) -> Option<Vec<String>> {
    let is_said = request.contains_key(header::IF_MATCH);
    is_said.then(|| {
        let names = values(request, &header::IF_MATCH);
        names.map(str::to_owned).collect()
    })
}

fn values<'a>(request: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = request.get_all(name).into_iter();
    // Not one of our tags has a comma in it.
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(str::trim)
}
