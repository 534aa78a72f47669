//! Base64 whose characters mean nothing in a query or a cookie.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// CloudFront's base64: `-`, `_` and `~` for `+`, `=` and `/`.
pub(super) fn encode(bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    text.chars().map(|c| swap(c, OURS, THEIRS)).collect()
}

/// Reads [`encode`].
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    if text.contains(OURS) {
        return None;
    }
    let text: String = text.chars().map(|c| swap(c, THEIRS, OURS)).collect();
    STANDARD.decode(text).ok()
}

const OURS: [char; 3] = ['+', '=', '/'];
const THEIRS: [char; 3] = ['-', '_', '~'];

fn swap(c: char, from: [char; 3], to: [char; 3]) -> char {
    let pairs = from.into_iter().zip(to);
    pairs
        .into_iter()
        .find(|(a, _)| *a == c)
        .map_or(c, |(_, b)| b)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_three_characters_are_cloudfronts() {
        assert_eq!(encode(&[0xfb, 0xff, 0xfe, 0xff]), "-~~-~w__");
        assert_eq!(
            decode("-~~-~w__").as_deref(),
            Some(&[0xfb, 0xff, 0xfe, 0xff][..])
        );
        for other in ["+//+/w==", "-~~-~w", "a b", "é"] {
            assert_eq!(decode(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn bytes_come_back(bytes: Vec<u8>, text in ".*") {
            let written = encode(&bytes);
            prop_assert!(written.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_~".contains(&b)));
            prop_assert_eq!(decode(&written), Some(bytes));
            let _ = decode(&text);
        }
    }
}
