//! Object names: `generated/<unix seconds>-<uuid>.<ext>`, private ones under `private/`.

use uuid::Uuid;

use crate::request::{Format, Visibility};

/// How long browsers and the CDN may keep a public picture: a key's bytes never change.
pub const CACHE_CONTROL_PUBLIC: &str = "public, max-age=31536000, immutable";
/// The same for a private picture.
pub const CACHE_CONTROL_PRIVATE: &str = "private, max-age=31536000, immutable";

/// The object name of an image, fixed when its job is accepted.
#[must_use]
pub fn object_key(unix_seconds: i64, id: Uuid, format: Format, visibility: Visibility) -> String {
    let folder = match visibility {
        Visibility::Public => "generated",
        Visibility::Private => "private/generated",
    };
    format!("{folder}/{unix_seconds}-{id}.{}", format.extension())
}

/// A file name from a URL, checked to be one that [`object_key`] makes; its format.
///
/// Anything else (a path, an encoded slash, another extension) is `None`, so that no file
/// name from outside reaches a store.
#[must_use]
pub fn parse_file_name(name: &str) -> Option<Format> {
    let (stem, extension) = name.rsplit_once('.')?;
    let (seconds, id) = stem.split_once('-')?;
    let is_number =
        (1..=12).contains(&seconds.len()) && seconds.bytes().all(|b| b.is_ascii_digit());
    let is_uuid = id.len() == 36
        && Uuid::try_parse(id).is_ok_and(|parsed| parsed.hyphenated().to_string() == id);
    if !(is_number && is_uuid) {
        return None;
    }
    Format::ALL
        .iter()
        .copied()
        .find(|format| format.extension() == extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);

    #[test]
    fn keys_are_named_by_time_and_id() {
        let public = object_key(1_700_000_000, ID, Format::Png, Visibility::Public);
        assert_eq!(
            public,
            "generated/1700000000-01234567-89ab-cdef-0123-456789abcdef.png"
        );
        let private = object_key(1, ID, Format::Jpeg, Visibility::Private);
        assert_eq!(
            private,
            "private/generated/1-01234567-89ab-cdef-0123-456789abcdef.jpg"
        );
        let name = public.strip_prefix("generated/").expect("prefix");
        assert_eq!(parse_file_name(name), Some(Format::Png));
    }

    #[test]
    fn other_file_names_are_refused() {
        for name in [
            "",
            "a.png",
            "../1-01234567-89ab-cdef-0123-456789abcdef.png",
            "1-01234567-89ab-cdef-0123-456789abcdef.svg",
            "1-01234567-89AB-cdef-0123-456789abcdef.png",
            "1-0123456789abcdef0123456789abcdef.png",
            "-01234567-89ab-cdef-0123-456789abcdef.png",
            "1-01234567-89ab-cdef-0123-456789abcdef.png.png",
        ] {
            assert_eq!(parse_file_name(name), None, "{name}");
        }
    }
}
