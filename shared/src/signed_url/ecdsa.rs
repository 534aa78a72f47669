//! ECDSA on P-256, with signatures in DER.
//!
//! Not by the platform, as RSA is: its signatures are another each time, and with them would be a
//! picture's URL. These are made by RFC 6979: the same text is signed alike everywhere.

use p256::ecdsa::signature::hazmat::{PrehashSigner as _, PrehashVerifier as _};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
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

    /// Whether a signature over a text is this key's, whoever made it.
    #[must_use]
    pub fn verifies(&self, hash: Hash, text: &[u8], signature: &[u8]) -> bool {
        let verifying: &VerifyingKey = self.0.verifying_key();
        Signature::from_der(signature).is_ok_and(|signature| {
            verifying
                .verify_prehash(&digest(hash, text), &signature)
                .is_ok()
        })
    }
}

/// All that follows a part of a key.
pub(super) fn behind<'a>(der: &'a [u8], part: &[u8]) -> Option<&'a [u8]> {
    let at = der.windows(part.len()).position(|window| window == part)?;
    der.get(at + part.len()..)
}

fn digest(hash: Hash, text: &[u8]) -> Vec<u8> {
    match hash {
        Hash::Sha1 => Sha1::digest(text).to_vec(),
        Hash::Sha256 => Sha256::digest(text).to_vec(),
    }
}
