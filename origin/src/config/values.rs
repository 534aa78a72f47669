//! How single values are written, and what to say of one that is written otherwise.

use std::net::{Ipv4Addr, SocketAddr};

use darkroom_shared::request::Format;
use url::Url;

use crate::housekeeping::COPY_FORMATS;

pub(super) fn socket(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "write an IP address and a port, such as 127.0.0.1:8788".to_owned())
}

/// Where the operator is listened to unless told: another port for each service of a machine, and a
/// free one where the service has a free one.
pub(super) fn operators(listen: SocketAddr) -> SocketAddr {
    let port = match listen.port() {
        0 => 0,
        port => port.checked_add(1000).unwrap_or(port - 1000),
    };
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

pub(super) fn web_address(text: &str) -> Result<Url, String> {
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| "write an http or https address, such as http://127.0.0.1:8787".to_owned())
}

pub(super) fn days(text: &str) -> Result<u32, String> {
    let days = text.parse().ok().filter(|days| *days <= 36_500);
    days.ok_or_else(|| "write a whole number of days up to 36500".to_owned())
}

pub(super) fn widths(text: &str) -> Result<Vec<u32>, String> {
    if text == "none" {
        return Ok(Vec::new());
    }
    let read = |width: &str| {
        let width = width.trim().parse().ok();
        width.filter(|width| (16..=2048).contains(width))
    };
    let widths: Option<Vec<u32>> = text.split(',').map(read).collect();
    let widths = widths.filter(|widths| widths.len() <= 8);
    widths.ok_or_else(|| {
        "write up to 8 widths from 16 to 2048, such as 256,512, or `none`".to_owned()
    })
}

/// In the order of [`COPY_FORMATS`], however they are written.
pub(super) fn variant_formats(text: &str) -> Result<Vec<Format>, String> {
    let named: Vec<&str> = text.split(',').map(str::trim).collect();
    let is_made = |name: &&&str| COPY_FORMATS.iter().any(|format| format.as_str() == **name);
    match named.iter().find(|name| !is_made(name)) {
        None => {
            let formats = COPY_FORMATS.iter().copied();
            Ok(formats
                .filter(|format| named.contains(&format.as_str()))
                .collect())
        }
        Some(_) => Err("write webp, avif or both, such as webp,avif".to_owned()),
    }
}

pub(super) fn domain(text: &str) -> Result<String, String> {
    let is_domain = text.contains('.')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
    is_domain
        .then(|| text.to_owned())
        .ok_or_else(|| "write the domain alone, such as d111111abcdef8.cloudfront.net".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_of_copies_have_one_order() {
        let all: Vec<&str> = COPY_FORMATS.iter().map(|format| format.as_str()).collect();
        let backwards: Vec<&str> = all.iter().rev().chain(&all).copied().collect();
        let read = variant_formats(&backwards.join(", "));
        assert_eq!(read.as_deref(), Ok(COPY_FORMATS));
        assert_eq!(variant_formats("webp"), Ok(vec![Format::Webp]));
        assert_eq!(variant_formats("avif"), Ok(vec![Format::Avif]));
        for wrong in ["", "png", "webp,", "none", "WEBP"] {
            assert!(variant_formats(wrong).is_err(), "{wrong:?}");
        }
    }
}
