//! How long a caller wants to wait: the `Prefer` header (RFC 7240).

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

const PREFER: HeaderName = HeaderName::from_static("prefer");
/// Says which preferences were honoured.
pub(super) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

const DEFAULT_WAIT: u64 = 60;
/// Proxies give up on an answer that takes longer.
const MAX_WAIT: u64 = 100;

/// What a caller prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Preference {
    wait: Option<u64>,
    respond_async: bool,
}

impl Preference {
    /// Reads the header. What cannot be understood is ignored, as section 2 of the RFC asks.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut preference = Self {
            wait: None,
            respond_async: false,
        };
        let values = headers.get_all(PREFER).into_iter();
        let texts = values.filter_map(|value| value.to_str().ok());
        for item in texts.flat_map(|text| text.split(',')) {
            let item = item.split(';').next().unwrap_or_default();
            let (name, value) = item.split_once('=').unwrap_or((item, ""));
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "respond-async" => preference.respond_async = true,
                // The first of two equal preferences counts.
                "wait" if preference.wait.is_none() => {
                    preference.wait = value.parse::<u64>().ok().map(|wait| wait.min(MAX_WAIT));
                }
                _ => {}
            }
        }
        preference
    }

    /// How long to wait. `respond-async` with a wait means: that long, then asynchronously.
    pub(super) fn wait(self) -> Duration {
        let fallback = if self.respond_async { 0 } else { DEFAULT_WAIT };
        Duration::from_secs(self.wait.unwrap_or(fallback))
    }

    /// The value of [`PREFERENCE_APPLIED`], where something was preferred.
    pub(super) fn applied(self) -> Option<HeaderValue> {
        let wait = self.wait.map(|wait| format!("wait={wait}"));
        let respond_async = self.respond_async.then(|| "respond-async".to_owned());
        let applied: Vec<String> = respond_async.into_iter().chain(wait).collect();
        HeaderValue::from_str(&applied.join(", "))
            .ok()
            .filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&'static str]) -> (u64, Option<String>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(PREFER, HeaderValue::from_static(value));
        }
        let preference = Preference::of(&headers);
        let applied = preference
            .applied()
            .map(|value| value.to_str().expect("ASCII").to_owned());
        (preference.wait().as_secs(), applied)
    }

    #[test]
    fn the_header_is_read_as_rfc_7240_says() {
        assert_eq!(read(&[]), (60, None));
        assert_eq!(read(&["wait=5"]), (5, Some("wait=5".into())));
        assert_eq!(read(&["wait=1000"]), (100, Some("wait=100".into())));
        assert_eq!(read(&["Respond-Async"]), (0, Some("respond-async".into())));
        assert_eq!(
            read(&["respond-async, wait=10"]),
            (10, Some("respond-async, wait=10".into()))
        );
        assert_eq!(
            read(&["handling=lenient", "wait=\"7\"; x=y"]),
            (7, Some("wait=7".into()))
        );
        assert_eq!(read(&["wait=soon"]), (60, None));
        assert_eq!(read(&["wait=-1, ,=,;"]), (60, None));
    }
}
