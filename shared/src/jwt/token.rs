//! A token's three parts (RFC 7515, compact form).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

use super::key_set::MIN_MODULUS;
use super::{Claims, JwtError};

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN: usize = 8 * 1024;

/// How a token may be signed: with a private key, and in no other way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519 (RFC 8037).
    EdDsa,
}

impl Algorithm {
    /// Reads `alg`. `Ed25519` is what RFC 9864 calls `EdDSA` on that curve.
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }

    /// Whether a signature can have so many bytes. Platforms take another length for a defect
    /// of the program rather than of the signature.
    const fn fits(self, bytes: usize) -> bool {
        match self {
            Self::Rs256 => bytes >= MIN_MODULUS,
            Self::Es256 | Self::EdDsa => bytes == 64,
        }
    }
}

/// A token, taken apart. Nothing in it may be believed before its signature was checked.
#[derive(Clone, Debug)]
pub struct Token {
    /// How it says it was signed.
    pub algorithm: Algorithm,
    /// Which of the issuer's keys it says signed it.
    pub kid: Option<String>,
    /// What was signed: header and claims as they were sent.
    pub signed: Vec<u8>,
    /// The signature; of ES256, r and s.
    pub signature: Vec<u8>,
    claims: Claims,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that must be understood: none is.
    crit: Option<Value>,
}

impl Token {
    /// Whether a text looks like a token, rather than a key.
    #[must_use]
    pub fn is_like(text: &str) -> bool {
        text.bytes().filter(|byte| *byte == b'.').count() == 2
    }

    /// Takes a token apart.
    ///
    /// # Errors
    /// [`JwtError::Form`], [`JwtError::Algorithm`], and [`JwtError::Signature`] for one that is of
    /// another length than its algorithm makes.
    pub fn parse(text: &str) -> Result<Self, JwtError> {
        if text.len() > MAX_TOKEN {
            return Err(JwtError::Form);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(JwtError::Form)?;
        let (header, claims) = signed.split_once('.').ok_or(JwtError::Form)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| JwtError::Form);
        let header: Header =
            serde_json::from_slice(&decode(header)?).map_err(|_| JwtError::Form)?;
        let algorithm = Algorithm::parse(&header.alg).ok_or(JwtError::Algorithm)?;
        if header.crit.is_some() {
            return Err(JwtError::Form);
        }
        let signature = decode(signature)?;
        if !algorithm.fits(signature.len()) {
            return Err(JwtError::Signature);
        }
        Ok(Self {
            algorithm,
            kid: header.kid,
            signed: signed.as_bytes().to_vec(),
            signature,
            claims: serde_json::from_slice(&decode(claims)?).map_err(|_| JwtError::Form)?,
        })
    }

    /// What the token says, to be called once its signature was found to fit.
    #[must_use]
    pub fn into_claims(self) -> Claims {
        self.claims
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(header: &str, claims: &str) -> String {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let signature = URL_SAFE_NO_PAD.encode([7; MIN_MODULUS]);
        format!("{}.{}.{signature}", encode(header), encode(claims))
    }

    #[test]
    fn a_token_is_taken_apart() {
        let text = token(r#"{"alg":"RS256","kid":"k","typ":"JWT"}"#, "{}");
        let read = Token::parse(&text).expect("read");
        assert_eq!(read.algorithm, Algorithm::Rs256);
        assert_eq!(read.kid.as_deref(), Some("k"));
        assert_eq!(read.signature, [7; MIN_MODULUS]);
        assert!(text.as_bytes().starts_with(&read.signed));
        let too_long = token(r#"{"alg":"EdDSA"}"#, "{}");
        assert_eq!(
            Token::parse(&too_long).expect_err("refused"),
            JwtError::Signature
        );
    }

    #[test]
    fn other_algorithms_are_refused_whatever_their_case() {
        for alg in [
            "none", "None", "NONE", "HS256", "RS512", "rs256", "PS256", "",
        ] {
            let text = token(&format!(r#"{{"alg":"{alg}"}}"#), "{}");
            assert_eq!(Token::parse(&text).expect_err(alg), JwtError::Algorithm);
        }
    }

    #[test]
    fn what_cannot_be_read_for_certain_is_refused() {
        let twice = r#"{"alg":"RS256","alg":"ES256"}"#;
        let critical = r#"{"alg":"RS256","crit":["b64"],"b64":false}"#;
        for text in [
            token(twice, "{}"),
            token(critical, "{}"),
            token("{}", "{}"),
            token(r#"{"alg":"RS256"}"#, "[]"),
            token(r#"{"alg":"RS256"}"#, r#"{"exp":"soon"}"#),
            token(r#"{"alg":"RS256"}"#, r#"{"sub":"a","sub":"b"}"#),
            format!("{}=", token(r#"{"alg":"RS256"}"#, "{}")),
            "a.b".to_owned(),
            "..".to_owned(),
            "x".repeat(MAX_TOKEN + 1),
        ] {
            assert_eq!(Token::parse(&text).expect_err("refused"), JwtError::Form);
        }
    }

    proptest! {
        #[test]
        fn hostile_tokens_are_refused_without_a_panic(
            text in ".*", header in ".*", claims in ".*",
        ) {
            let _ = Token::parse(&text);
            prop_assert!(Token::parse(&token(&header, &claims)).is_err());
        }
    }
}
