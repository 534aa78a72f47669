//! API keys: `dk_` and 32 random bytes in base62. Only a SHA-256 digest is ever stored.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const PREFIX: &str = "dk_";
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 62^43 is the first power of 62 above 2^256.
const DIGITS: usize = 43;

/// A key as its owner holds it. Debug output does not show it.
#[derive(Clone, Debug)]
pub struct ApiKey(SecretString);

impl ApiKey {
    /// Makes a key from 32 bytes of a cryptographic random source.
    #[must_use]
    #[expect(
        clippy::indexing_slicing,
        reason = "a remainder of 62 is within 62 digits"
    )]
    pub fn from_random(mut bytes: [u8; 32]) -> Self {
        let mut digits = [0_u8; DIGITS];
        for digit in digits.iter_mut().rev() {
            let mut remainder = 0_u32;
            for byte in &mut bytes {
                let value = remainder * 256 + u32::from(*byte);
                *byte = (value / 62) as u8;
                remainder = value % 62;
            }
            *digit = ALPHABET[remainder as usize];
        }
        let text: String = digits.iter().map(|&digit| char::from(digit)).collect();
        Self(format!("{PREFIX}{text}").into())
    }

    /// Reads a key, or `None` where the text has not a key's form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX)?;
        let well_formed = digits.len() == DIGITS && digits.bytes().all(|b| ALPHABET.contains(&b));
        well_formed.then(|| Self(text.into()))
    }

    /// SHA-256 of the key's text, in lower-case hex: what is stored.
    #[must_use]
    pub fn digest(&self) -> String {
        hex::encode(Sha256::digest(self.0.expose_secret().as_bytes()))
    }

    /// Whether `digest` is this key's, in time that does not tell how far they agree.
    #[must_use]
    pub fn matches(&self, digest: &str) -> bool {
        self.digest().as_bytes().ct_eq(digest.as_bytes()).into()
    }

    /// The key itself, to be shown once.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The token in an `Authorization: Bearer …` header's value (RFC 6750), a key or another one.
#[must_use]
pub fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_prefix_and_43_digits_whatever_the_bytes() {
        for bytes in [[0; 32], [255; 32], [7; 32]] {
            let key = ApiKey::from_random(bytes);
            assert_eq!(key.expose().len(), PREFIX.len() + DIGITS);
            assert!(ApiKey::parse(key.expose()).is_some());
        }
        assert_ne!(
            ApiKey::from_random([0; 32]).expose(),
            ApiKey::from_random([1; 32]).expose()
        );
    }

    #[test]
    fn only_the_key_itself_matches_its_digest() {
        let key = ApiKey::from_random([9; 32]);
        let digest = key.digest();
        assert_eq!(digest.len(), 64);
        assert!(key.matches(&digest));
        assert!(!ApiKey::from_random([8; 32]).matches(&digest));
        assert!(!key.matches(""));
    }

    #[test]
    fn malformed_keys_and_headers_are_refused() {
        let key = ApiKey::from_random([9; 32]);
        let header = format!("bearer {}", key.expose());
        assert_eq!(bearer(&header), Some(key.expose()));
        for header in ["", "Bearer", "Bearer dk_", "Basic dk_x", "Bearer dk_é"] {
            let key = bearer(header).and_then(ApiKey::parse);
            assert!(key.is_none(), "{header}");
        }
        assert!(ApiKey::parse(&format!("{}!", &key.expose()[..45])).is_none());
    }

    #[test]
    fn debug_output_hides_the_key() {
        let key = ApiKey::from_random([9; 32]);
        assert!(!format!("{key:?}").contains(key.expose()));
    }
}
