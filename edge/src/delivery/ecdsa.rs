//! ECDSA: signed here, and verified by the platform. Both in wasm would take ten times as long.

use std::cell::RefCell;

use darkroom_shared::signed_url::{EcdsaKey, Hash, two_numbers};
use web_sys::CryptoKey;
use worker::js_sys::Uint8Array;

use crate::webcrypto::{self, object};

/// A private key, and its public half as the platform keeps it.
pub(super) struct Ecdsa {
    key: EcdsaKey,
    public: RefCell<Option<CryptoKey>>,
}

impl Ecdsa {
    pub fn new(key: EcdsaKey) -> Self {
        Self {
            key,
            public: RefCell::default(),
        }
    }

    /// A signature in DER; none only where the key's number is not one of the curve's.
    pub fn sign(&self, hash: Hash, text: &[u8]) -> Option<Vec<u8>> {
        self.key.sign(hash, text)
    }

    /// Whether a signature over a text is this key's, whoever made it.
    pub async fn verifies(
        &self,
        hash: Hash,
        text: &[u8],
        signature: &[u8],
    ) -> worker::Result<bool> {
        let Some(signature) = two_numbers(signature) else {
            return Ok(false);
        };
        let algorithm = object(match hash {
            Hash::Sha1 => r#"{"name":"ECDSA","namedCurve":"P-256","hash":"SHA-1"}"#,
            Hash::Sha256 => r#"{"name":"ECDSA","namedCurve":"P-256","hash":"SHA-256"}"#,
        })?;
        let kept = self.public.borrow().clone();
        let public = if let Some(public) = kept {
            public
        } else {
            let point = Uint8Array::from(self.key.public_key().as_slice());
            let public = webcrypto::public_key("raw", &point, &algorithm).await?;
            self.public.replace(Some(public.clone()));
            public
        };
        webcrypto::verifies(&algorithm, &public, text, &signature).await
    }
}
