//! How the edge proves to the origin that a request is its own: HTTP Message Signatures
//! (RFC 9421) with HMAC-SHA-256 over method, path, query, body digest (RFC 9530), caller,
//! creation time and a nonce.
//!
//! The origin must also remember the nonces that it has seen within [`WINDOW_SECONDS`]:
//! this module cannot, having no storage.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret, SecretString};
use sfv::{BareItem, Dictionary, InnerList, Item, ListEntry, ListSerializer, Parser};
use sha2::{Digest, Sha256};

/// How far a signature's creation time may lie from the verifier's clock, either way.
pub const WINDOW_SECONDS: i64 = 60;
/// Carries the account on whose behalf the edge asks.
pub const CALLER_HEADER: &str = "darkroom-caller";
/// Carries the digest of the body.
pub const DIGEST_HEADER: &str = "content-digest";
/// Carries what is signed, and how.
pub const INPUT_HEADER: &str = "signature-input";
/// Carries the signature.
pub const SIGNATURE_HEADER: &str = "signature";

const LABEL: &str = "darkroom";
const ALGORITHM: &str = "hmac-sha256";
const COMPONENTS: [&str; 5] = ["@method", "@path", "@query", DIGEST_HEADER, CALLER_HEADER];

/// A shared secret and the id under which both sides know it. Two may be live at once.
#[derive(Clone, Debug)]
pub struct Secret {
    /// Goes over the wire as `keyid`.
    pub id: String,
    /// At least 32 characters.
    pub secret: SecretString,
}

impl Secret {
    /// Reads `id:secret[,id:secret]`, the form of the setting on both sides.
    ///
    /// # Errors
    /// [`SecretError`] for an entry that has not that form, or a secret that is too short.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, SecretError> {
        text.split(',')
            .map(|entry| Self::parse(entry.trim()))
            .collect()
    }

    fn parse(entry: &str) -> Result<Self, SecretError> {
        let (id, secret) = entry.split_once(':').ok_or(SecretError::Form)?;
        let id_is_plain = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric());
        if !id_is_plain {
            return Err(SecretError::Form);
        }
        if secret.len() < 32 {
            return Err(SecretError::Short(id.to_owned()));
        }
        Ok(Self {
            id: id.to_owned(),
            secret: secret.into(),
        })
    }

    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    fn mac(&self, base: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.expose_secret().as_bytes())
            .expect("HMAC takes keys of any length");
        mac.update(base.as_bytes());
        mac
    }
}

/// Why a list of secrets cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// An entry is not `id:secret`.
    #[error("must be `id:secret`, several parted by commas, each id of letters and digits")]
    Form,
    /// Guessable.
    #[error("the secret `{0}` has fewer than 32 characters")]
    Short(String),
}

/// What a signature covers, as it goes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The path as sent, still percent-encoded.
    pub path: &'a str,
    /// The query as sent, without its question mark; empty where there is none.
    pub query: &'a str,
    /// The value of [`DIGEST_HEADER`].
    pub content_digest: &'a str,
    /// The value of [`CALLER_HEADER`].
    pub caller: &'a str,
}

/// The two headers of a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The value of [`INPUT_HEADER`].
    pub input: String,
    /// The value of [`SIGNATURE_HEADER`].
    pub signature: String,
}

/// What a verified signature says, for the replay check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// To be remembered for twice [`WINDOW_SECONDS`]: a second sight is a replay.
    pub nonce: String,
    /// Unix seconds.
    pub created: i64,
}

/// Why a signature is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A header cannot be read, or covers other components than are asked for.
    #[error("the signature headers are not of the expected form")]
    Form,
    /// No live secret has that id.
    #[error("the signature names a secret that is not known here")]
    UnknownSecret,
    /// Too old, or from the future.
    #[error("the signature is older or newer than {WINDOW_SECONDS} s; compare the clocks")]
    Expired,
    /// Another secret, or something was changed on the way.
    #[error("the signature does not fit the request")]
    Mismatch,
    /// The body is not the one whose digest was signed.
    #[error("the body does not fit its digest")]
    Body,
}

/// The value of [`DIGEST_HEADER`] for a body: `sha-256=:…:`.
#[must_use]
pub fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", BASE64.encode(Sha256::digest(body)))
}

/// Signs a request. `nonce` must never be used twice: 16 random bytes in hex, say.
///
/// # Errors
/// [`SignatureError::Form`] for a nonce or id that no header can carry.
pub fn sign(
    secret: &Secret,
    parts: &Parts<'_>,
    created: i64,
    nonce: &str,
) -> Result<Signature, SignatureError> {
    let parameters = parameters(created, nonce, &secret.id)?;
    let mac = secret.mac(&base(parts, &parameters)).finalize();
    Ok(Signature {
        input: format!("{LABEL}={parameters}"),
        signature: format!("{LABEL}=:{}:", BASE64.encode(mac.into_bytes())),
    })
}

/// Checks a request's signature against the live secrets, before its body is read; what it says
/// of the body is [`verify_body`]'s to check. `now` is Unix seconds.
///
/// # Errors
/// [`SignatureError`]; nothing of the request may be believed then.
pub fn verify(
    secrets: &[Secret],
    parts: &Parts<'_>,
    signature: &Signature,
    now: i64,
) -> Result<Verified, SignatureError> {
    let (created, nonce, id) = read_input(&signature.input)?;
    let mac = read_signature(&signature.signature)?;
    let secret = secrets
        .iter()
        .find(|secret| secret.id == id)
        .ok_or(SignatureError::UnknownSecret)?;
    let base = base(parts, &parameters(created, &nonce, &id)?);
    // `verify_slice` compares in constant time.
    secret
        .mac(&base)
        .verify_slice(&mac)
        .map_err(|_| SignatureError::Mismatch)?;
    if created.abs_diff(now) > WINDOW_SECONDS.unsigned_abs() {
        return Err(SignatureError::Expired);
    }
    Ok(Verified { nonce, created })
}

/// Checks a body against the digest that was signed.
///
/// # Errors
/// [`SignatureError::Body`].
pub fn verify_body(digest: &str, body: &[u8]) -> Result<(), SignatureError> {
    if digest == content_digest(body) {
        Ok(())
    } else {
        Err(SignatureError::Body)
    }
}

/// The signature base (RFC 9421, 2.5).
fn base(parts: &Parts<'_>, parameters: &str) -> String {
    let query = format!("?{}", parts.query);
    let values = [
        parts.method,
        parts.path,
        &query,
        parts.content_digest,
        parts.caller,
    ];
    let mut lines: Vec<String> = COMPONENTS
        .iter()
        .zip(values)
        .map(|(name, value)| format!("\"{name}\": {value}"))
        .collect();
    lines.push(format!("\"@signature-params\": {parameters}"));
    lines.join("\n")
}

/// The signature parameters in their one canonical form (RFC 9421, 2.3).
fn parameters(created: i64, nonce: &str, id: &str) -> Result<String, SignatureError> {
    let form = |_| SignatureError::Form;
    let created = sfv::Integer::try_from(created).map_err(|_| SignatureError::Form)?;
    let mut list = ListSerializer::new();
    let mut inner = list.inner_list();
    for name in COMPONENTS {
        inner.bare_item(sfv::StringRef::from_str(name).map_err(form)?);
    }
    inner
        .finish()
        .parameter(sfv::key_ref("created"), created)
        .parameter(
            sfv::key_ref("nonce"),
            sfv::StringRef::from_str(nonce).map_err(form)?,
        )
        .parameter(
            sfv::key_ref("keyid"),
            sfv::StringRef::from_str(id).map_err(form)?,
        )
        .parameter(
            sfv::key_ref("alg"),
            sfv::StringRef::from_str(ALGORITHM).map_err(form)?,
        );
    list.finish().ok_or(SignatureError::Form)
}

fn read_input(header: &str) -> Result<(i64, String, String), SignatureError> {
    let dictionary: Dictionary = Parser::new(header)
        .parse()
        .map_err(|_| SignatureError::Form)?;
    let Some(ListEntry::InnerList(InnerList { items, params })) = dictionary.get(LABEL) else {
        return Err(SignatureError::Form);
    };
    let covered: Option<Vec<&str>> = items.iter().map(component).collect();
    if covered.as_deref() != Some(&COMPONENTS[..]) {
        return Err(SignatureError::Form);
    }
    let text = |name: &str| match params.get(name) {
        Some(BareItem::String(text)) => Ok(text.as_str().to_owned()),
        _ => Err(SignatureError::Form),
    };
    let Some(BareItem::Integer(created)) = params.get("created") else {
        return Err(SignatureError::Form);
    };
    if text("alg")? != ALGORITHM {
        return Err(SignatureError::Form);
    }
    Ok((i64::from(*created), text("nonce")?, text("keyid")?))
}

fn component(item: &Item) -> Option<&str> {
    match &item.bare_item {
        BareItem::String(name) if item.params.is_empty() => Some(name.as_str()),
        _ => None,
    }
}

fn read_signature(header: &str) -> Result<Vec<u8>, SignatureError> {
    let dictionary: Dictionary = Parser::new(header)
        .parse()
        .map_err(|_| SignatureError::Form)?;
    match dictionary.get(LABEL) {
        Some(ListEntry::Item(Item {
            bare_item: BareItem::ByteSequence(bytes),
            ..
        })) => Ok(bytes.clone()),
        _ => Err(SignatureError::Form),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_700_000_000;
    const BODY: &[u8] = br#"{"prompt":"a red circle"}"#;

    fn secrets() -> Vec<Secret> {
        Secret::parse_list(
            "new:0123456789abcdef0123456789abcdef,old:fedcba9876543210fedcba9876543210",
        )
        .expect("well formed")
    }

    fn parts(digest: &str) -> Parts<'_> {
        Parts {
            method: "POST",
            path: "/api/media/generate-image",
            query: "a=1",
            content_digest: digest,
            caller: "someone",
        }
    }

    #[test]
    fn the_form_is_that_of_rfc_9421() {
        let digest = content_digest(BODY);
        let signature = sign(&secrets()[0], &parts(&digest), NOW, "n0").expect("signed");
        assert_eq!(
            signature.input,
            "darkroom=(\"@method\" \"@path\" \"@query\" \"content-digest\" \"darkroom-caller\")\
             ;created=1700000000;nonce=\"n0\";keyid=\"new\";alg=\"hmac-sha256\""
        );
        let parameters = signature.input.strip_prefix("darkroom=").expect("label");
        assert_eq!(
            base(&parts(&digest), parameters),
            format!(
                "\"@method\": POST\n\"@path\": /api/media/generate-image\n\"@query\": ?a=1\n\
                 \"content-digest\": {digest}\n\"darkroom-caller\": someone\n\
                 \"@signature-params\": {parameters}"
            )
        );
    }

    #[test]
    fn either_live_secret_is_taken() {
        let digest = content_digest(BODY);
        for secret in secrets() {
            let signature = sign(&secret, &parts(&digest), NOW, "n").expect("signed");
            let verified = verify(&secrets(), &parts(&digest), &signature, NOW + 60);
            assert_eq!(
                verified,
                Ok(Verified {
                    nonce: "n".into(),
                    created: NOW
                })
            );
        }
    }

    #[test]
    fn whatever_is_changed_the_signature_no_longer_fits() {
        let digest = content_digest(BODY);
        let good = parts(&digest);
        let signature = sign(&secrets()[0], &good, NOW, "n").expect("signed");
        let changed = [
            Parts {
                method: "GET",
                ..good
            },
            Parts {
                path: "/api/jobs",
                ..good
            },
            Parts { query: "", ..good },
            Parts {
                caller: "other",
                ..good
            },
            Parts {
                content_digest: "sha-256=:AAAA:",
                ..good
            },
        ];
        for parts in changed {
            let result = verify(&secrets(), &parts, &signature, NOW);
            assert_eq!(result, Err(SignatureError::Mismatch), "{parts:?}");
        }
        assert_eq!(verify_body(&digest, BODY), Ok(()));
        assert_eq!(verify_body(&digest, b"{}"), Err(SignatureError::Body));
        for at in [NOW - 61, NOW + 61] {
            let late = verify(&secrets(), &good, &signature, at);
            assert_eq!(late, Err(SignatureError::Expired));
        }
        let stranger = verify(&secrets()[1..], &good, &signature, NOW);
        assert_eq!(stranger, Err(SignatureError::UnknownSecret));
        let nonce_changed = Signature {
            input: signature.input.replace("nonce=\"n\"", "nonce=\"m\""),
            ..signature
        };
        let result = verify(&secrets(), &good, &nonce_changed, NOW);
        assert_eq!(result, Err(SignatureError::Mismatch));
    }

    #[test]
    fn short_and_misshapen_secrets_are_refused() {
        assert_eq!(
            Secret::parse_list("a:short").unwrap_err(),
            SecretError::Short("a".into())
        );
        for text in ["", "a", ":0123456789abcdef0123456789abcdef", "a b:x"] {
            assert_eq!(Secret::parse_list(text).unwrap_err(), SecretError::Form);
        }
    }

    proptest! {
        #[test]
        fn hostile_headers_are_refused_without_a_panic(input in ".*", signature in ".*") {
            let digest = content_digest(BODY);
            let signature = Signature { input, signature };
            prop_assert!(verify(&secrets(), &parts(&digest), &signature, NOW).is_err());
        }
    }
}
