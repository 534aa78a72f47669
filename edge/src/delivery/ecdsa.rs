//! ECDSA: signed here, and verified by the platform. Both in wasm would take ten times as long.

use std::cell::{OnceCell, RefCell};

use darkroom_shared::signed_url::{EcdsaKey, Hash, two_numbers};
use web_sys::CryptoKey;
use worker::js_sys::{Object, Uint8Array};

use crate::webcrypto::{self, object};

/// A private key, and its public half as the platform keeps it.
pub(super) struct Ecdsa {
    key: EcdsaKey,
    public: RefCell<Option<CryptoKey>>,
    sha1: OnceCell<Object>,
    sha256: OnceCell<Object>,
}

impl Ecdsa {
    pub fn new(key: EcdsaKey) -> Self {
        Self {
            key,
            public: RefCell::default(),
            sha1: OnceCell::new(),
            sha256: OnceCell::new(),
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
        let algorithm = self.algorithm(hash)?;
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

    /// As the platform is told it.
    fn algorithm(&self, hash: Hash) -> worker::Result<Object> {
        let (kept, json) = match hash {
            Hash::Sha1 => (
                &self.sha1,
                r#"{"name":"ECDSA","namedCurve":"P-256","hash":"SHA-1"}"#,
            ),
            Hash::Sha256 => (
                &self.sha256,
                r#"{"name":"ECDSA","namedCurve":"P-256","hash":"SHA-256"}"#,
            ),
        };
        if let Some(algorithm) = kept.get() {
            return Ok(algorithm.clone());
        }
        let algorithm = object(json)?;
        Ok(kept.get_or_init(|| algorithm).clone())
    }
}
