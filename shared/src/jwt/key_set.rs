//! An issuer's public keys (RFC 7517).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::{Algorithm, JwtError, Token};

/// The largest set that is read, in bytes.
pub const MAX_KEY_SET: usize = 64 * 1024;
/// Keys that are looked at; an issuer has a few.
const MAX_KEYS: usize = 50;
/// 2048 bits: the least that RS256 allows (RFC 7518, 3.3).
pub(super) const MIN_MODULUS: usize = 256;

/// One public key. What kind of key it is decides how it verifies, and not what a token says.
#[derive(Clone, Debug, PartialEq)]
pub struct PublicKey {
    /// Its name.
    pub kid: Option<String>,
    /// The one way in which it verifies.
    pub algorithm: Algorithm,
    /// The key itself as a JWK, with nothing else in it.
    pub jwk: Value,
}

/// The keys of an issuer that can verify anything here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeySet {
    keys: Vec<PublicKey>,
}

impl KeySet {
    /// Reads a JWK set. Keys for other uses, or of kinds that are not taken, are left out.
    ///
    /// # Errors
    /// [`JwtError::Form`] for what is no JWK set.
    pub fn parse(json: &[u8]) -> Result<Self, JwtError> {
        let set: Value = serde_json::from_slice(json).map_err(|_| JwtError::Form)?;
        let keys = set.get("keys").and_then(Value::as_array);
        let keys = keys.ok_or(JwtError::Form)?.iter().take(MAX_KEYS);
        Ok(Self {
            keys: keys
                .filter_map(|key| PublicKey::read(key.as_object()?))
                .collect(),
        })
    }

    /// The key that must have signed a token. One that names none is taken for the only key of
    /// its algorithm's kind, where there is only one.
    ///
    /// # Errors
    /// [`JwtError::UnknownKey`]; [`JwtError::KeyConfusion`] for a key of another kind.
    pub fn choose(&self, token: &Token) -> Result<&PublicKey, JwtError> {
        let fits = |key: &&PublicKey| key.algorithm == token.algorithm;
        if token.kid.is_none() {
            let mut fitting = self.keys.iter().filter(fits);
            return match (fitting.next(), fitting.next()) {
                (Some(key), None) => Ok(key),
                _ => Err(JwtError::UnknownKey),
            };
        }
        let mut named = self.keys.iter().filter(|key| key.kid == token.kid);
        let mut is_known = false;
        let fitting = named.find(|key| {
            is_known = true;
            fits(key)
        });
        fitting.ok_or(if is_known {
            JwtError::KeyConfusion
        } else {
            JwtError::UnknownKey
        })
    }
}

impl PublicKey {
    fn read(key: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        let algorithm = match (text("kty")?, text("crv")) {
            ("RSA", _) => Algorithm::Rs256,
            ("EC", Some("P-256")) => Algorithm::Es256,
            ("OKP", Some("Ed25519")) => Algorithm::EdDsa,
            _ => return None,
        };
        let is_for_it = |name| Algorithm::parse(name) == Some(algorithm);
        let is_meant = key
            .get("alg")
            .is_none_or(|alg| alg.as_str().is_some_and(is_for_it))
            && key.get("use").is_none_or(|use_for| use_for == "sig")
            && key.get("key_ops").is_none_or(verifies);
        if !is_meant {
            return None;
        }
        // A number of so many bytes, at least.
        let number = |name: &str, least: usize| {
            let text = text(name)?;
            let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
            (bytes.len() >= least).then_some(text)
        };
        let jwk = match algorithm {
            Algorithm::Rs256 => {
                json!({ "kty": "RSA", "n": number("n", MIN_MODULUS)?, "e": number("e", 1)? })
            }
            Algorithm::Es256 => {
                json!({ "kty": "EC", "crv": "P-256", "x": number("x", 32)?, "y": number("y", 32)? })
            }
            Algorithm::EdDsa => json!({ "kty": "OKP", "crv": "Ed25519", "x": number("x", 32)? }),
        };
        Some(Self {
            kid: text("kid").map(ToOwned::to_owned),
            algorithm,
            jwk,
        })
    }
}

fn verifies(operations: &Value) -> bool {
    operations
        .as_array()
        .is_some_and(|operations| operations.iter().any(|operation| operation == "verify"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(bytes: usize) -> String {
        URL_SAFE_NO_PAD.encode(vec![200; bytes])
    }

    fn rsa(kid: &str) -> Value {
        json!({ "kty": "RSA", "kid": kid, "n": of(256), "e": "AQAB", "d": "secret" })
    }

    fn ec(kid: &str) -> Value {
        json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": of(32), "y": of(32) })
    }

    fn set(keys: &[Value]) -> KeySet {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).expect("a set")
    }

    fn token(alg: &str, kid: Option<&str>) -> Token {
        let header = json!({ "alg": alg, "kid": kid }).to_string();
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let bytes = if alg == "RS256" { MIN_MODULUS } else { 64 };
        let signature = of(bytes);
        let text = format!("{}.{}.{signature}", encode(&header), encode("{}"));
        Token::parse(&text).expect("a token")
    }

    #[test]
    fn a_key_is_chosen_by_its_name() {
        let keys = set(&[rsa("a"), ec("b")]);
        let chosen = keys.choose(&token("ES256", Some("b"))).expect("chosen");
        assert_eq!(chosen.algorithm, Algorithm::Es256);
        let error = keys.choose(&token("ES256", Some("c")));
        assert_eq!(error, Err(JwtError::UnknownKey));
    }

    #[test]
    fn a_key_verifies_in_its_own_way_alone() {
        let error = set(&[rsa("a")]).choose(&token("ES256", Some("a"))).cloned();
        assert_eq!(error, Err(JwtError::KeyConfusion));
    }

    #[test]
    fn a_token_without_a_name_is_the_only_fitting_keys() {
        let nameless = token("RS256", None);
        assert!(set(&[rsa("a"), ec("b")]).choose(&nameless).is_ok());
        assert!(set(&[rsa("a"), rsa("b")]).choose(&nameless).is_err());
        assert!(set(&[ec("b")]).choose(&nameless).is_err());
    }

    #[test]
    fn other_keys_are_left_out_and_nothing_private_is_kept() {
        let changed = |name: &str, value: Value| {
            let mut key = rsa("a");
            key[name] = value;
            key
        };
        let keys = [
            json!({ "kty": "oct", "kid": "a", "k": of(32), "alg": "HS256" }),
            changed("use", "enc".into()),
            changed("alg", "RS512".into()),
            changed("key_ops", json!(["encrypt"])),
            changed("n", of(128).into()),
            changed("e", json!(65537)),
            json!({ "kty": "EC", "crv": "P-384", "x": of(48), "y": of(48) }),
            json!("a key"),
        ];
        assert_eq!(set(&keys), KeySet::default());
        let meant = changed("key_ops", json!(["verify"]));
        assert_eq!(set(&[meant]).keys.len(), 1);
        assert!(!format!("{:?}", set(&[rsa("a")])).contains("secret"));
    }

    proptest! {
        #[test]
        fn hostile_sets_are_refused_without_a_panic(json in ".*", key in ".*") {
            let _ = KeySet::parse(json.as_bytes());
            let _ = KeySet::parse(format!(r#"{{"keys":[{key}]}}"#).as_bytes());
        }
    }
}
