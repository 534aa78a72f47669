//! RSA, by the platform: in wasm it would take ten times as long.

use std::cell::RefCell;

use darkroom_shared::signed_url::Hash;
use secrecy::{ExposeSecret as _, SecretSlice};
use subtle::ConstantTimeEq as _;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::CryptoKey;
use worker::js_sys::futures::JsFuture;
use worker::js_sys::{Array, Uint8Array};

use crate::webcrypto::{object, subtle};

/// A private key. The platform wants it told anew for each digest, and keeps it then.
pub(super) struct RsaKey {
    pkcs8: SecretSlice<u8>,
    sha1: RefCell<Option<CryptoKey>>,
    sha256: RefCell<Option<CryptoKey>>,
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
        let algorithm = object(r#"{"name":"RSASSA-PKCS1-v1_5"}"#)?;
        let signed = subtle()?.sign_with_object_and_js_u8_array(&algorithm, &key, &text)?;
        Ok(Uint8Array::new(&JsFuture::from(signed).await?).to_vec())
    }

    /// Whether a signature over a text is this key's: there is one alone, and it is made again.
    pub async fn verifies(
        &self,
        hash: Hash,
        text: &[u8],
        signature: &[u8],
    ) -> worker::Result<bool> {
        let ours = self.sign(hash, text).await?;
        Ok(ours.ct_eq(signature).into())
    }

    async fn imported(&self, hash: Hash) -> worker::Result<CryptoKey> {
        let (kept, name) = match hash {
            Hash::Sha1 => (&self.sha1, "SHA-1"),
            Hash::Sha256 => (&self.sha256, "SHA-256"),
        };
        if let Some(key) = kept.borrow().clone() {
            return Ok(key);
        }
        let algorithm = object(&format!(
            r#"{{"name":"RSASSA-PKCS1-v1_5","hash":"{name}"}}"#
        ))?;
        let bytes = Uint8Array::from(self.pkcs8.expose_secret());
        let usages = Array::of1(&JsValue::from_str("sign"));
        let imported =
            subtle()?.import_key_with_object("pkcs8", &bytes, &algorithm, false, &usages)?;
        let key: CryptoKey = JsFuture::from(imported).await?.dyn_into()?;
        kept.replace(Some(key.clone()));
        Ok(key)
    }
}
