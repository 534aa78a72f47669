//! Where the origins are.

/// Reads `http(s)://host[:port]`, one or several parted by commas; `None` where one is not of
/// that form. What follows a host would have to be signed too, and no origin serves under a
/// prefix.
#[must_use]
pub fn parse_urls(text: &str) -> Option<Vec<String>> {
    let mut urls = Vec::new();
    for url in text.split(',').map(str::trim) {
        if !is_plain_url(url) {
            return None;
        }
        if !urls.iter().any(|known| known == url) {
            urls.push(url.to_owned());
        }
    }
    Some(urls)
}

/// Whether a text is scheme, host and at most a port, in characters that mean nothing else.
pub(crate) fn is_plain_url(text: &str) -> bool {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    !host.is_empty() && host.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_and_several_are_read_and_each_counts_once() {
        let one = "https://origin.example.com";
        assert_eq!(parse_urls(one).as_deref(), Some(&[one.to_owned()][..]));
        let two =
            parse_urls(" http://127.0.0.1:1,http://[::1]:2 , http://127.0.0.1:1").expect("read");
        assert_eq!(two, ["http://127.0.0.1:1", "http://[::1]:2"]);
    }

    #[test]
    fn what_is_no_address_is_told() {
        for text in [
            "",
            ",",
            "origin.example.com",
            "https://",
            "https://a/",
            "https://a/b",
            "http://a b",
            "https://a,",
            "https://a,ftp://b",
            "https://a;https://b",
            "https://user:password@a",
        ] {
            assert_eq!(parse_urls(text), None, "{text}");
        }
    }
}
