//! Addresses as they are written. What is taken is the part of their syntax on which every reader
//! agrees: a host that one takes for a name and another for a number, or a `@` or `\` that moves the
//! host's end, would be checked as one thing and asked as another.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Reach;

/// The longest address, in bytes.
const MAX_LENGTH: usize = 2048;
/// Ends of names that no public server has (RFC 6761, RFC 6762, RFC 8375, ICANN's `internal`).
const INNER_NAMES: [&str; 5] = ["localhost", "local", "internal", "home.arpa", "onion"];

pub(super) fn check(url: &str, reach: &Reach) -> Result<(), String> {
    if url.len() > MAX_LENGTH {
        return Err(format!("may have at most {MAX_LENGTH} characters"));
    }
    if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("must be written in ASCII, anything else in percent-encoding".to_owned());
    }
    let is_open = !reach.allowed.is_empty();
    let (is_plain, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (false, rest),
        (None, Some(rest)) if is_open => (true, rest),
        _ => return Err("must begin with https://".to_owned()),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = without_port(authority).ok_or("must have a port from 1 to 65535, or none")?;
    match read(host)? {
        Host::Address(address) if !reach.allows(address, is_plain) => {
            Err("must be a public address".to_owned())
        }
        Host::Name(name) if !is_open && is_inner(&name) => {
            Err("must be a public server's name".to_owned())
        }
        Host::Address(_) | Host::Name(_) => Ok(()),
    }
}

enum Host {
    Address(IpAddr),
    Name(String),
}

/// The host of an authority, where its port is one.
fn without_port(authority: &str) -> Option<&str> {
    let end = authority.rfind(']').unwrap_or_default();
    let Some(colon) = authority.rfind(':').filter(|colon| *colon > end) else {
        return Some(authority);
    };
    let (host, port) = authority.split_at_checked(colon)?;
    let port = port.strip_prefix(':')?;
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    let is_port = is_number && port.parse::<u16>().is_ok_and(|port| port > 0);
    is_port.then_some(host)
}

fn read(host: &str) -> Result<Host, String> {
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']').unwrap_or_default();
        let address: Option<Ipv6Addr> = address.parse().ok();
        let address = address.ok_or("must hold an IPv6 address within the brackets")?;
        return Ok(Host::Address(address.into()));
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let is_label = |label: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(is_plain)
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err("must have a host, and neither a user nor a password before it".to_owned());
    }
    // Browsers take `127.1`, `0x7f.1` and `2130706433` for one address, others for names.
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.starts_with(|first: char| first.is_ascii_digit()) {
        let address: Option<Ipv4Addr> = name.parse().ok();
        let address = address.ok_or("must have an IPv4 address as four numbers, or a name")?;
        return Ok(Host::Address(address.into()));
    }
    Ok(Host::Name(name))
}

fn is_inner(name: &str) -> bool {
    !name.contains('.')
        || INNER_NAMES.iter().any(|inner| {
            let before = name.strip_suffix(inner);
            before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken(url: &str) -> bool {
        Reach::default().check(url).is_ok()
    }

    #[test]
    fn public_servers_are_taken() {
        for url in [
            "https://example.com",
            "https://example.com:8443/hook?x=1#y",
            "https://Example.COM./",
            "https://xn--bcher-kva.example/a%20b",
            "https://8.8.8.8/",
            "https://[2606:4700:4700::1111]:443/",
            "https://my-local.example/",
            "https://notlocalhost.example/@x:y",
        ] {
            assert!(taken(url), "{url}");
        }
    }

    #[test]
    fn what_is_plainly_not_public_is_refused() {
        for url in [
            "",
            "example.com",
            "http://example.com/",
            "HTTPS://example.com/",
            "ftp://example.com/",
            "file:///etc/passwd",
            "https://",
            "https:///x",
            "https://localhost/",
            "https://a.localhost./",
            "https://printer.local/",
            "https://metadata.google.internal/",
            "https://intranet/",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://127.0.0.1./",
            "https://169.254.169.254/latest/meta-data",
            "https://[::1]/",
            "https://[::ffff:8.8.8.8]/",
            "https://[fe80::1%25eth0]/",
            "https://[::1",
            "https://user@example.com/",
            "https://user:pass@example.com/",
            "https://example.com:0/",
            "https://example.com:/",
            "https://example.com:65536/",
            "https://example.com\\@127.0.0.1/",
            "https://example.com/a b",
            "https://bücher.example/",
            "https://ex%61mple.com/",
            "https://example..com/",
        ] {
            assert!(!taken(url), "{url}");
        }
        assert!(!taken(&format!("https://example.com/{}", "x".repeat(2048))));
    }

    #[test]
    fn what_is_allowed_opens_its_own_networks_only() {
        let reach = Reach::parse("127.0.0.0/8, fd00::/8").expect("networks");
        for url in [
            "http://127.0.0.1:8080/",
            "https://127.9.9.9/",
            "http://localhost:8080/",
            "https://[fd00::1]/",
            "https://8.8.8.8/",
        ] {
            assert_eq!(reach.check(url), Ok(()), "{url}");
        }
        for url in ["http://10.0.0.1/", "https://10.0.0.1/", "http://8.8.8.8/"] {
            assert!(reach.check(url).is_err(), "{url}");
        }
        assert_eq!(Reach::parse(" , "), Ok(Reach::default()));
        assert!(Reach::parse("10.0.0.0/33").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(https?://)?[\\[\\]a-z0-9.:@/%\\\\ü-]{0,40}") {
            let _ = Reach::default().check(&text);
        }
    }
}
