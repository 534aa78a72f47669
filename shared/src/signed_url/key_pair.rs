//! The key pairs whose public halves CloudFront knows.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretSlice;

use super::EcdsaKey;
use super::ecdsa::behind;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";
/// `rsaEncryption` (RFC 8017).
const RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";

/// A private key and the id under which its public half is known.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// What URLs name: CloudFront's id of the public key.
    pub id: String,
    /// Signs.
    pub key: PrivateKey,
}

/// A private key, by what it is for.
#[derive(Clone)]
pub enum PrivateKey {
    /// On P-256.
    Ecdsa(EcdsaKey),
    /// As PKCS #8, for the platform to work with.
    Rsa(SecretSlice<u8>),
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ecdsa(_) => "Ecdsa",
            Self::Rsa(_) => "Rsa",
        })
    }
}

/// What is wrong with a list of key pairs. Nothing of a key is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyPairError {
    /// Something else than entries.
    #[error("must be `id:` and a private key as PEM, once for each pair")]
    Form,
    /// An older form, which the platform does not read.
    #[error("must hold keys in PKCS #8: `openssl pkcs8 -topk8 -nocrypt -in key.pem` makes it")]
    Pkcs8,
    /// Another curve, Ed25519, or nothing that is known.
    #[error("has a key that is neither ECDSA on P-256 nor RSA: {0}")]
    Kind(String),
    /// One id for two keys.
    #[error("has two keys with the id {0}")]
    Twice(String),
}

impl KeyPair {
    /// Reads `id:PEM`, again and again. Spaces, line breaks and a comma may stand in between.
    ///
    /// # Errors
    /// [`KeyPairError`], at the first pair that is wrong; an empty list is none.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, KeyPairError> {
        if text.contains("BEGIN RSA PRIVATE") || text.contains("BEGIN EC P") {
            return Err(KeyPairError::Pkcs8);
        }
        let mut pairs: Vec<Self> = Vec::new();
        let mut rest = text;
        while let Some((entry, behind)) = rest.split_once(END) {
            let pair = Self::parse(entry)?;
            if pairs.iter().any(|other| other.id == pair.id) {
                return Err(KeyPairError::Twice(pair.id));
            }
            pairs.push(pair);
            rest = behind;
        }
        if pairs.is_empty() || !rest.trim().is_empty() {
            return Err(KeyPairError::Form);
        }
        Ok(pairs)
    }

    fn parse(entry: &str) -> Result<Self, KeyPairError> {
        let (id, body) = entry.split_once(BEGIN).ok_or(KeyPairError::Form)?;
        let id = id.trim().trim_start_matches(',').trim_start();
        let id = id.strip_suffix(':').ok_or(KeyPairError::Form)?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !(1..=128).contains(&id.len()) || !id.bytes().all(is_plain) {
            return Err(KeyPairError::Form);
        }
        let body: String = body.split_whitespace().collect();
        let der = STANDARD.decode(body).map_err(|_| KeyPairError::Form)?;
        let key = EcdsaKey::from_pkcs8(&der).map(PrivateKey::Ecdsa);
        let rsa = || behind(&der, RSA).map(|_| PrivateKey::Rsa(der.clone().into()));
        Ok(Self {
            key: key
                .or_else(rsa)
                .ok_or_else(|| KeyPairError::Kind(id.to_owned()))?,
            id: id.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const P256: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgglBfvtANzl5qdgYa
A4go9ys1xDbadAMMcRAVbxJvyxShRANCAATuJ+epaTvwNXrhEv7vuAcOsFqFLib/
8Ex3VA/ySpUdblpBlZiyAQqU2/uGfVzzXeGc1NKm2GKao3wKMrwtTqcr
-----END PRIVATE KEY-----
";
    const ED25519: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f
-----END PRIVATE KEY-----";

    fn error(text: &str) -> KeyPairError {
        KeyPair::parse_list(text).expect_err("refused")
    }

    #[test]
    fn pairs_stand_one_behind_another() {
        let one_line = P256.replace('\n', " ");
        for text in [
            format!("K1:{P256}K2: {P256}"),
            format!("\nK1:{P256},\nK2:{P256}\n"),
            format!("K1:{one_line},K2:{one_line}"),
        ] {
            let pairs = KeyPair::parse_list(&text).expect("read");
            let ids: Vec<_> = pairs.iter().map(|pair| pair.id.as_str()).collect();
            assert_eq!(ids, ["K1", "K2"]);
            assert!(!format!("{pairs:?}").contains("MIG"));
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_key() {
        for text in [
            "",
            "K1",
            P256,
            &format!("K 1:{P256}"),
            &format!("K1:{P256}rest"),
            &P256
                .replacen("-----BEGIN", "K1:-----BEGIN", 1)
                .replace("MIGH", "MIG!"),
        ] {
            assert_eq!(error(text), KeyPairError::Form, "{text}");
        }
        assert_eq!(
            error(&format!("K1:{P256}K1:{P256}")),
            KeyPairError::Twice("K1".into())
        );
        assert_eq!(
            error(&format!("K1:{ED25519}")),
            KeyPairError::Kind("K1".into())
        );
        for older in ["RSA PRIVATE", "EC PRIVATE"] {
            let text = format!("K1:{}", P256.replace("PRIVATE", older));
            assert_eq!(error(&text), KeyPairError::Pkcs8);
        }
    }

    proptest! {
        #[test]
        fn hostile_lists_are_refused_without_a_panic(text in ".*", der: Vec<u8>) {
            prop_assert!(KeyPair::parse_list(&text).is_err());
            let _ = KeyPair::parse_list(&format!("K1:{BEGIN}{}{END}", STANDARD.encode(der)));
        }
    }
}
