//! Which web pages may call the API (CORS): their origins, exactly, or all of them.

use crate::origins::is_plain_url;

/// The pages that may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// All of them.
    Any,
    /// Those of these origins, in lower case as browsers send them.
    Only(Vec<String>),
}

impl AllowedOrigins {
    /// Reads `*`, or origins (`https://host[:port]`) parted by commas; `None` where one is not
    /// of that form and would never fit what a browser sends.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.trim() == "*" {
            return Some(Self::Any);
        }
        let origins = text.split(',').map(|origin| {
            let origin = origin.trim().to_ascii_lowercase();
            is_plain_url(&origin).then_some(origin)
        });
        origins.collect::<Option<_>>().map(Self::Only)
    }

    /// What to answer as `Access-Control-Allow-Origin` to a page of this origin.
    #[must_use]
    pub fn allow<'a>(&self, origin: &'a str) -> Option<&'a str> {
        match self {
            Self::Any => Some("*"),
            Self::Only(origins) => origins.iter().any(|own| own == origin).then_some(origin),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_or_exactly_those_of_the_list() {
        let any = AllowedOrigins::parse(" * ").expect("read");
        assert_eq!(any.allow("https://a.example"), Some("*"));
        assert_eq!(any.allow("null"), Some("*"));

        let some = AllowedOrigins::parse("https://A.example, http://localhost:3000").expect("read");
        for origin in ["https://a.example", "http://localhost:3000"] {
            assert_eq!(some.allow(origin), Some(origin));
        }
        for origin in [
            "",
            "null",
            "*",
            "http://a.example",
            "https://a.example:8443",
            "https://a.example.evil.example",
            "https://b.a.example",
            "http://localhost:30001",
        ] {
            assert_eq!(some.allow(origin), None, "{origin}");
        }
    }

    #[test]
    fn what_no_browser_would_send_is_told() {
        for text in [
            "",
            "*,https://a",
            "https://a/",
            "a.example",
            "null",
            "https://*.a",
        ] {
            assert_eq!(AllowedOrigins::parse(text), None, "{text}");
        }
    }
}
