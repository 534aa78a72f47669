//! A post's name in its address: small Latin letters and digits in words parted by `-`.

use deunicode::AsciiChars as _;

/// Characters, and so bytes. The edge passes on no longer segment of a path.
pub const MAX: usize = 64;
/// The name of a post whose title has nothing that could be spelled.
const NAMELESS: &str = "post";

/// Whether a text is a slug.
#[must_use]
pub fn is_slug(text: &str) -> bool {
    let is_word = |word: &str| {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        !word.is_empty() && word.bytes().all(is_plain)
    };
    text.len() <= MAX && text.split('-').all(is_word)
}

/// A slug out of a title, spelled with Latin letters whatever its script.
#[must_use]
pub fn from_title(title: &str) -> String {
    let mut slug = String::new();
    let spelled = title.ascii_chars().map(|spelled| spelled.unwrap_or("-"));
    let characters = spelled.flat_map(str::chars);
    for character in characters.filter(|character| *character != '\'') {
        if character.is_ascii_alphanumeric() {
            slug.push(character.to_ascii_lowercase());
        } else if !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = shortened(slug.trim_matches('-'), MAX);
    if slug.is_empty() { NAMELESS } else { slug }.to_owned()
}

/// The same slug with something behind it, for where it is taken.
#[must_use]
pub fn with_suffix(slug: &str, suffix: &str) -> String {
    let room = MAX.saturating_sub(suffix.len() + 1);
    format!("{}-{suffix}", shortened(slug, room))
}

fn shortened(slug: &str, most: usize) -> &str {
    slug.get(..most).unwrap_or(slug).trim_end_matches('-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn titles_are_spelled_with_latin_letters() {
        for (title, slug) in [
            ("A red circle, on blue!", "a-red-circle-on-blue"),
            ("Ärger  über/Öl", "arger-uber-ol"),
            ("It's 3.14", "its-3-14"),
            ("Привет, мир", "privet-mir"),
            ("北京", "bei-jing"),
            ("  --  ", "post"),
            ("", "post"),
            ("\u{10ffff}", "post"),
        ] {
            assert_eq!(from_title(title), slug, "{title}");
        }
    }

    #[test]
    fn other_texts_are_no_slugs() {
        for text in ["", "-", "a-", "-a", "a--b", "A", "é", "a b", "a/b", "a_b"] {
            assert!(!is_slug(text), "{text}");
        }
        assert!(is_slug(&"a".repeat(MAX)));
        assert!(!is_slug(&"a".repeat(MAX + 1)));
    }

    proptest! {
        #[test]
        fn every_title_makes_a_slug(title in ".{0,300}") {
            let slug = from_title(&title);
            prop_assert!(is_slug(&slug), "{slug}");
            prop_assert_eq!(&from_title(&slug), &slug);
        }

        #[test]
        fn a_suffix_makes_another_slug(title in ".{0,300}", suffix in "[a-z0-9]{1,12}") {
            let slug = from_title(&title);
            let other = with_suffix(&slug, &suffix);
            prop_assert!(is_slug(&other), "{other}");
            prop_assert!(other.ends_with(&suffix));
        }
    }
}
