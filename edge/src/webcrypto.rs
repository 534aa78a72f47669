//! The platform's cryptography.

use std::cell::RefCell;

use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{Crypto, CryptoKey, SubtleCrypto};
use worker::js_sys::futures::JsFuture;
use worker::js_sys::{Array, JSON, Object, Reflect, Uint8Array, global};

thread_local! {
    static SUBTLE: RefCell<Option<SubtleCrypto>> = RefCell::default();
}

/// `crypto.subtle`, looked up once.
pub fn subtle() -> worker::Result<SubtleCrypto> {
    if let Some(subtle) = SUBTLE.with_borrow(Clone::clone) {
        return Ok(subtle);
    }
    let crypto = Reflect::get(&global(), &JsValue::from_str("crypto"))?;
    // A Worker's `Crypto` is not always the class of that name.
    let subtle = crypto.unchecked_into::<Crypto>().subtle();
    SUBTLE.set(Some(subtle.clone()));
    Ok(subtle)
}

/// A JavaScript object, as algorithms and keys are told.
pub fn object(json: &str) -> worker::Result<Object> {
    Ok(JSON::parse(json)?.dyn_into()?)
}

/// Imports a public key, which verifies.
pub async fn public_key(
    format: &str,
    data: &Object,
    algorithm: &Object,
) -> worker::Result<CryptoKey> {
    let usages = Array::of1(&JsValue::from_str("verify"));
    let imported = subtle()?.import_key_with_object(format, data, algorithm, false, &usages)?;
    Ok(JsFuture::from(imported).await?.dyn_into()?)
}

/// Whether a public key's other half made a signature over a text.
pub async fn verifies(
    algorithm: &Object,
    key: &CryptoKey,
    text: &[u8],
    signature: &[u8],
) -> worker::Result<bool> {
    // Copies: the runtime may still read them when this memory has moved.
    let (text, signature) = (Uint8Array::from(text), Uint8Array::from(signature));
    let verified = subtle()?
        .verify_with_object_and_js_u8_array_and_js_u8_array(algorithm, key, &signature, &text)?;
    Ok(JsFuture::from(verified).await?.is_truthy())
}
