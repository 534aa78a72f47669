//! A signature, as it goes with a URL or as cookies.

use super::{Hash, Policy, alphabet};

/// A signed policy.
#[derive(Clone, Copy, Debug)]
pub struct Signature<'a> {
    /// What was signed.
    pub policy: &'a Policy,
    /// The pair whose private key signed.
    pub key_id: &'a str,
    /// The digest that was signed.
    pub hash: Hash,
    /// The signature; of ECDSA in DER.
    pub bytes: &'a [u8],
}

/// A cookie's name and value, neither of which needs quotes.
pub type Cookie = (String, String);

impl Signature<'_> {
    /// The policy's address with the signature in its query.
    #[must_use]
    pub fn url(&self) -> String {
        let resource = &self.policy.resource;
        let separator = if resource.contains('?') { '&' } else { '?' };
        let pairs = self
            .parameters()
            .map(|(name, value)| format!("{name}={value}"));
        format!(
            "{resource}{separator}{}",
            pairs.collect::<Vec<_>>().join("&")
        )
    }

    /// The same for all that the policy's wildcards take in.
    #[must_use]
    pub fn cookies(&self) -> Vec<Cookie> {
        let named = |(name, value)| (format!("{COOKIE_PREFIX}{name}"), value);
        self.parameters().map(named).collect()
    }

    fn parameters(&self) -> impl Iterator<Item = (&'static str, String)> {
        let policy = if self.policy.is_canned() {
            (EXPIRES, self.policy.expires.to_string())
        } else {
            (POLICY, alphabet::encode(self.policy.to_json().as_bytes()))
        };
        let hash = match self.hash {
            Hash::Sha1 => None,
            Hash::Sha256 => Some((HASH_ALGORITHM, self.hash.name().to_owned())),
        };
        let all = [
            policy,
            (SIGNATURE, alphabet::encode(self.bytes)),
            (KEY_PAIR_ID, self.key_id.to_owned()),
        ];
        all.into_iter().chain(hash)
    }
}

pub(super) const EXPIRES: &str = "Expires";
pub(super) const POLICY: &str = "Policy";
pub(super) const SIGNATURE: &str = "Signature";
pub(super) const KEY_PAIR_ID: &str = "Key-Pair-Id";
pub(super) const HASH_ALGORITHM: &str = "Hash-Algorithm";
pub(super) const COOKIE_PREFIX: &str = "CloudFront-";
