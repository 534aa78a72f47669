//! Where a stored picture can be fetched.

/// Turns keys into URLs: the CDN's where there is one, else the edge's.
#[derive(Clone, Debug)]
pub struct Addresses {
    base: String,
}

impl Addresses {
    /// Pictures are fetched from the CDN's `domain`.
    #[must_use]
    pub fn cloudfront(domain: &str) -> Self {
        Self {
            base: format!("https://{domain}/"),
        }
    }

    /// Pictures are fetched from the edge, whose address is `public_url`.
    #[must_use]
    pub fn edge(public_url: &str) -> Self {
        Self {
            base: format!("{}/", public_url.trim_end_matches('/')),
        }
    }

    /// The URL of the picture stored under `key`.
    #[must_use]
    pub fn of(&self, key: &str) -> String {
        format!("{}{key}", self.base)
    }

    /// The key whose picture is fetched at `url`; none where that is nothing of ours.
    #[must_use]
    pub fn key<'a>(&self, url: &'a str) -> Option<&'a str> {
        url.strip_prefix(&self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_follow_the_base() {
        let cdn = Addresses::cloudfront("d111.cloudfront.net");
        assert_eq!(
            cdn.of("generated/1-a.png"),
            "https://d111.cloudfront.net/generated/1-a.png"
        );
        for base in ["http://127.0.0.1:8787", "http://127.0.0.1:8787/"] {
            assert_eq!(
                Addresses::edge(base).of("generated/1-a.png"),
                "http://127.0.0.1:8787/generated/1-a.png"
            );
        }
        let cdn = Addresses::cloudfront("d111.cloudfront.net");
        assert_eq!(
            cdn.key("https://d111.cloudfront.net/generated/1-a.png"),
            Some("generated/1-a.png")
        );
        assert_eq!(cdn.key("https://other.example/generated/1-a.png"), None);
    }
}
