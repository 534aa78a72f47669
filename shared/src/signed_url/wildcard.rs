//! Addresses with wildcards, as policies have them.

/// Whether a text fits a pattern in which `*` stands for any characters, none included, and `?`
/// for exactly one.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on when something does not fit: behind the last star, one character later.
    let mut retry = None;
    while let Some(&found) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                retry = Some((p, t));
            }
            Some(&wanted) if wanted == b'?' || wanted == found => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((behind_star, tried)) = retry else {
                    return false;
                };
                p = behind_star;
                t = tried + 1;
                retry = Some((p, t));
            }
        }
    }
    pattern.iter().skip(p).all(|rest| *rest == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_and_question_marks_are_wild() {
        for (pattern, text) in [
            ("*", ""),
            ("http*://a/*", "https://a/b/c.png?x=1"),
            ("https://a/*.png", "https://a/b.png.png"),
            ("a?c*", "abc"),
            ("a**b", "ab"),
        ] {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("?", ""),
            ("https://a/*", "https://b/"),
            ("https://a/*.png", "https://a/b.jpg"),
            ("abc", "ab"),
        ] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn a_star_takes_the_place_of_any_part(a in "[ab]{0,6}", b in "[ab]{0,6}", c in "[ab]{0,6}") {
            let (pattern, text) = (format!("{a}*{c}"), format!("{a}{b}{c}"));
            prop_assert!(fits(&pattern, &text));
            prop_assert!(fits(&text, &text));
            let other = format!("{text}x");
            prop_assert_eq!(fits(&pattern, &other), c.is_empty());
        }
    }
}
