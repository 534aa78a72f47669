//! JSON Web Tokens (RFC 7519) as the other way to prove who calls: everything but the signature's
//! mathematics, which is the platform's.
//!
//! A [`Token`] is taken apart, the [`KeySet`] says which key must have signed it, and only once
//! that is shown do its [`Claims`] count, for what [`Claims::check`] makes of them.

mod claims;
mod key_set;
mod token;

pub use claims::{Claims, Expected, LEEWAY_SECONDS, Verified};
pub use key_set::{KeySet, MAX_KEY_SET, PublicKey};
pub use token::{Algorithm, MAX_TOKEN, Token};

/// Why a token is refused. Whoever holds it can read it, so that this may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// Not three parts of base64url, or not JSON inside.
    #[error("the token cannot be read")]
    Form,
    /// `none`, one with a shared secret, or another that is not taken.
    #[error("the token's algorithm is none of RS256, ES256 and EdDSA")]
    Algorithm,
    /// The key that it names is one for another algorithm.
    #[error("the token's algorithm is not its key's")]
    KeyConfusion,
    /// No key of the issuer's has that name.
    #[error("the token's key is none of the issuer's")]
    UnknownKey,
    /// Something was changed, or another key signed.
    #[error("the token's signature does not fit")]
    Signature,
    /// Another issuer's, or nobody's.
    #[error("the token is another issuer's")]
    Issuer,
    /// Made for another service.
    #[error("the token is for another audience")]
    Audience,
    /// Its `exp` is past.
    #[error("the token has expired")]
    Expired,
    /// Its `nbf` is ahead.
    #[error("the token is not yet valid")]
    NotYet,
    /// Its `sub` is missing, empty or longer than 255 bytes.
    #[error("the token names no subject")]
    Subject,
}
