//! RSA, by the platform: in wasm it would take ten times as long.

use std::cell::RefCell;

use darkroom_shared::signed_url::Hash;
use secrecy::{ExposeSecret as _, SecretSlice};
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::CryptoKey;
use worker::js_sys::futures::JsFuture;
use worker::js_sys::{Array, Object, Reflect, Uint8Array};

use crate::webcrypto::{self, object, subtle};

/// A private key. The platform wants it told anew for each digest, and keeps it then.
pub(super) struct RsaKey {
    pkcs8: SecretSlice<u8>,
    sha1: RefCell<Option<Imported>>,
    sha256: RefCell<Option<Imported>>,
}

/// As the platform keeps a pair.
#[derive(Clone)]
struct Imported {
    algorithm: Object,
    private: CryptoKey,
    public: CryptoKey,
}

impl RsaKey {
    pub fn new(pkcs8: SecretSlice<u8>) -> Self {
        Self {
            pkcs8,
            sha1: RefCell::default(),
            sha256: RefCell::default(),
        }
    }

    /// RSASSA-PKCS1-v1_5 of a text.
    pub async fn sign(&self, hash: Hash, text: &[u8]) -> worker::Result<Vec<u8>> {
        let key = self.imported(hash).await?;
        // A copy: the runtime may still read it when this memory has moved.
        let text = Uint8Array::from(text);
        let signed =
            subtle()?.sign_with_object_and_js_u8_array(&key.algorithm, &key.private, &text)?;
        Ok(Uint8Array::new(&JsFuture::from(signed).await?).to_vec())
    }

    /// Whether a signature over a text is this key's.
    pub async fn verifies(
        &self,
        hash: Hash,
        text: &[u8],
        signature: &[u8],
    ) -> worker::Result<bool> {
        let key = self.imported(hash).await?;
        webcrypto::verifies(&key.algorithm, &key.public, text, signature).await
    }

    async fn imported(&self, hash: Hash) -> worker::Result<Imported> {
        let (kept, algorithm) = match hash {
            Hash::Sha1 => (&self.sha1, r#"{"name":"RSASSA-PKCS1-v1_5","hash":"SHA-1"}"#),
            Hash::Sha256 => (
                &self.sha256,
                r#"{"name":"RSASSA-PKCS1-v1_5","hash":"SHA-256"}"#,
            ),
        };
        if let Some(key) = kept.borrow().clone() {
            return Ok(key);
        }
        let algorithm = object(algorithm)?;
        let private = self.private(&algorithm).await?;
        let jwk = JsFuture::from(subtle()?.export_key("jwk", &private)?).await?;
        let public = object(r#"{"kty":"RSA"}"#)?;
        for name in ["n", "e"].map(JsValue::from_str) {
            Reflect::set(&public, &name, &Reflect::get(&jwk, &name)?)?;
        }
        let key = Imported {
            public: webcrypto::public_key("jwk", &public, &algorithm).await?,
            algorithm,
            private,
        };
        kept.replace(Some(key.clone()));
        Ok(key)
    }

    /// Extractable, since the platform derives no public key from a private one otherwise.
    async fn private(&self, algorithm: &Object) -> worker::Result<CryptoKey> {
        let bytes = Uint8Array::from(self.pkcs8.expose_secret());
        let usages = Array::of1(&JsValue::from_str("sign"));
        let imported =
            subtle()?.import_key_with_object("pkcs8", &bytes, algorithm, true, &usages)?;
        Ok(JsFuture::from(imported).await?.dyn_into()?)
    }
}
