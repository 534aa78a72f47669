//! ECDSA on P-256, with signatures in DER.
//!
//! Not made by the platform, as RSA's are: its signatures are another each time, and with them
//! would be a picture's URL. These are made by RFC 6979: the same text is signed alike everywhere.
//! The platform verifies them, in a tenth of the time: [`EcdsaKey::public_key`] and
//! [`two_numbers`] are for it.

use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use p256::ecdsa::{Signature, SigningKey};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::Hash;

/// A private key. Its `Debug` does not show it.
#[derive(Clone, Debug)]
pub struct EcdsaKey(SigningKey);

/// `ecPublicKey` on `prime256v1` (RFC 5480).
const ALGORITHM: &[u8] =
    b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
/// What stands before the number in the key's own structure (RFC 5915): version 1, 32 octets.
const BEFORE_NUMBER: &[u8] = b"\x02\x01\x01\x04\x20";

impl EcdsaKey {
    /// Reads a key in PKCS #8 (RFC 5958); none where it is another's.
    pub(super) fn from_pkcs8(der: &[u8]) -> Option<Self> {
        behind(der, ALGORITHM)?;
        let number = behind(der, BEFORE_NUMBER)?.get(..32)?;
        SigningKey::from_slice(number).ok().map(Self)
    }

    /// Signs a text; none only where the key's number is not one of the curve's.
    #[must_use]
    pub fn sign(&self, hash: Hash, text: &[u8]) -> Option<Vec<u8>> {
        let signature: Signature = self.0.sign_prehash(&digest(hash, text)).ok()?;
        Some(signature.to_der().as_bytes().to_vec())
    }

    /// The public key: a point of the curve, not compressed (SEC 1).
    #[must_use]
    pub fn public_key(&self) -> Vec<u8> {
        let point = self.0.verifying_key().to_sec1_point(false);
        point.as_bytes().to_vec()
    }
}

/// A signature in DER as the two numbers that it holds, one behind the other; none where it is no
/// signature.
#[must_use]
pub fn two_numbers(der: &[u8]) -> Option<Vec<u8>> {
    let signature = Signature::from_der(der).ok()?;
    Some(signature.to_bytes().to_vec())
}

/// All that follows a part of a key.
pub(super) fn behind<'a>(der: &'a [u8], part: &[u8]) -> Option<&'a [u8]> {
    let at = der.windows(part.len()).position(|window| window == part)?;
    der.get(at + part.len()..)
}

pub(super) fn digest(hash: Hash, text: &[u8]) -> Vec<u8> {
    match hash {
        Hash::Sha1 => Sha1::digest(text).to_vec(),
        Hash::Sha256 => Sha256::digest(text).to_vec(),
    }
}
