//! Signed URLs and signed cookies as CloudFront takes them, made and judged.
//!
//! A [`Policy`] says which address may be fetched, until when, from when on and from where. Its
//! JSON is signed by the first of the [`KeyPair`]s, and goes with the URL as parameters
//! ([`Signature::url`], in the query) or as cookies ([`Signature::cookies`]). Who serves a private
//! picture reads them again ([`Presented`]), has the signature verified with the pair that they
//! name, and then lets the policy judge ([`Presented::judge`]).
//!
//! [AWS: restrict content with signed URLs and signed cookies][1].
//!
//! [1]: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/PrivateContent.html

mod alphabet;
mod ask;
mod ecdsa;
mod key_pair;
mod lifetime;
mod network;
mod policy;
mod presented;
mod signature;
#[cfg(test)]
mod vectors;
mod wildcard;

pub use ask::Ask;
pub use ecdsa::{EcdsaKey, two_numbers};
pub use key_pair::{KeyPair, KeyPairError, PrivateKey};
pub use lifetime::Lifetimes;
pub use network::Network;
pub use policy::Policy;
pub use presented::Presented;
pub use signature::{Cookie, Signature};

/// Digest that is signed. CloudFront takes SHA-1 unless a URL says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hash {
    /// What every distribution takes.
    #[default]
    Sha1,
    /// Named in the URL as `Hash-Algorithm=SHA256`.
    Sha256,
}

impl Hash {
    /// What `Hash-Algorithm` says.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }
}

/// Why a private picture is not handed out. None depends on whether there is such a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No signature at all.
    #[error("this address needs a signature")]
    Unsigned,
    /// Parameters are missing, doubled or no text of theirs.
    #[error("the signature cannot be read")]
    Form,
    /// Something was changed, or another key signed.
    #[error("the signature does not fit")]
    Signature,
    /// The policy does not cover this address.
    #[error("the signature is for another address")]
    Resource,
    /// The start lies ahead.
    #[error("the signature is not yet valid")]
    NotYet,
    /// The end is past.
    #[error("the signature has expired")]
    Expired,
    /// Another network, or one that is not known.
    #[error("the signature is for another IP address")]
    Source,
}
