//! Object names: `generated/<unix seconds>-<uuid>.<ext>`, private ones under `private/`.

use uuid::Uuid;

use crate::request::{Format, Visibility};

/// How long browsers and the CDN may keep a public picture: a key's bytes never change.
pub const CACHE_CONTROL_PUBLIC: &str = "public, max-age=31536000, immutable";
/// The same for a private picture.
pub const CACHE_CONTROL_PRIVATE: &str = "private, max-age=31536000, immutable";

/// The folders that objects lie in.
pub const FOLDERS: &[&str] = &[
    "generated/",
    "private/generated/",
    "deleted/generated/",
    "deleted/private/generated/",
];

const ASIDE: &str = "deleted/";

/// The object name of an image, fixed when its job is accepted.
#[must_use]
pub fn object_key(unix_seconds: i64, id: Uuid, format: Format, visibility: Visibility) -> String {
    let folder = match visibility {
        Visibility::Public => "generated",
        Visibility::Private => "private/generated",
    };
    format!("{folder}/{unix_seconds}-{id}.{}", format.extension())
}

/// Where a deleted image's object waits for being restored: nothing is served from there.
#[must_use]
pub fn aside_key(key: &str) -> String {
    format!("{ASIDE}{key}")
}

/// Whether an object waits there.
#[must_use]
pub fn is_aside(key: &str) -> bool {
    key.starts_with(ASIDE)
}

/// Who may fetch a picture: its key says so, wherever it lies.
#[must_use]
pub fn visibility(key: &str) -> Visibility {
    let key = key.strip_prefix(ASIDE).unwrap_or(key);
    if key.starts_with("private/") {
        Visibility::Private
    } else {
        Visibility::Public
    }
}

/// The object name of a smaller copy of a picture: beside it, so that the same rules hold for both.
/// `None` where `key` is no picture's.
#[must_use]
pub fn variant_key(key: &str, width: u32, format: Format) -> Option<String> {
    let (stem, _) = key.rsplit_once('.')?;
    let variant = format!("{stem}-w{width}.{}", format.extension());
    (parse_key(key)?.width.is_none() && parse_key(&variant).is_some()).then_some(variant)
}

/// What an object's name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectName {
    /// The image that it belongs to.
    pub image: Uuid,
    /// Its width in pixels, where it is a smaller copy.
    pub width: Option<u32>,
    /// Its format.
    pub format: Format,
}

/// What an object's name says; `None` for what [`object_key`] and [`variant_key`] do not make.
#[must_use]
pub fn parse_key(key: &str) -> Option<ObjectName> {
    FOLDERS
        .iter()
        .find_map(|folder| parse_name(key.strip_prefix(folder)?))
}

/// A file name from a URL, checked to be one that [`object_key`] or [`variant_key`] makes; its
/// format.
///
/// Anything else (a path, an encoded slash, another extension) is `None`, so that no file
/// name from outside reaches a store.
#[must_use]
pub fn parse_file_name(name: &str) -> Option<Format> {
    parse_name(name).map(|name| name.format)
}

fn parse_name(name: &str) -> Option<ObjectName> {
    let (stem, extension) = name.rsplit_once('.')?;
    let (seconds, rest) = stem.split_once('-')?;
    if !is_number(seconds, 12) {
        return None;
    }
    let (id, width) = (rest.get(..36)?, rest.get(36..)?);
    let image = Uuid::try_parse(id).ok()?;
    if image.hyphenated().to_string() != id {
        return None;
    }
    let width = match width {
        "" => None,
        width => {
            let digits = width.strip_prefix("-w")?;
            // One way to write each, so that one file has one name.
            if !is_number(digits, 4) || digits.starts_with('0') {
                return None;
            }
            Some(digits.parse().ok()?)
        }
    };
    let mut formats = Format::ALL.iter().copied();
    let format = formats.find(|format| format.extension() == extension)?;
    Some(ObjectName {
        image,
        width,
        format,
    })
}

fn is_number(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
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
    fn smaller_copies_lie_beside_their_picture() {
        for visibility in [Visibility::Public, Visibility::Private] {
            let key = object_key(1, ID, Format::Png, visibility);
            let variant = variant_key(&key, 320, Format::Webp).expect("a picture's");
            assert_eq!(variant, key.replace(".png", "-w320.webp"));
            let name = parse_key(&variant).expect("ours");
            assert_eq!((name.image, name.width), (ID, Some(320)));
            assert_eq!(name.format, Format::Webp);
            assert_eq!(parse_key(&key).expect("ours").width, None);
            assert_eq!(variant_key(&variant, 64, Format::Webp), None);
        }
        assert_eq!(variant_key("generated/x.png", 64, Format::Webp), None);
        assert_eq!(parse_key("elsewhere/1-x.png"), None);
    }

    #[test]
    fn what_is_set_aside_belongs_to_its_image() {
        let key = object_key(1, ID, Format::Webp, Visibility::Private);
        let aside = aside_key(&key);
        assert_eq!(aside, format!("deleted/{key}"));
        assert_eq!(parse_key(&aside), parse_key(&key));
        assert_eq!(visibility(&aside), Visibility::Private);
        assert!(is_aside(&aside) && !is_aside(&key));
        assert_eq!(parse_key(&aside_key(&aside)), None);
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
            "1-01234567-89ab-cdef-0123-456789abcdef-w.webp",
            "1-01234567-89ab-cdef-0123-456789abcdef-w0320.webp",
            "1-01234567-89ab-cdef-0123-456789abcdef-w320-w64.webp",
            "1-01234567-89ab-cdef-0123-456789abcdeé-w320.webp",
        ] {
            assert_eq!(parse_file_name(name), None, "{name}");
        }
    }
}
