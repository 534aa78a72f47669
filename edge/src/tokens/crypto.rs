//! Signatures, by the platform.

use darkroom_shared::jwt::{Algorithm, PublicKey, Token};
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::CryptoKey;
use worker::js_sys::futures::JsFuture;
use worker::js_sys::{Array, Uint8Array};

use crate::webcrypto::{object, subtle};

/// Whether the key made the token's signature.
pub(super) async fn verifies(key: &PublicKey, token: &Token) -> worker::Result<bool> {
    let algorithm = object(match key.algorithm {
        Algorithm::Rs256 => r#"{"name":"RSASSA-PKCS1-v1_5","hash":"SHA-256"}"#,
        Algorithm::Es256 => r#"{"name":"ECDSA","namedCurve":"P-256","hash":"SHA-256"}"#,
        Algorithm::EdDsa => r#"{"name":"Ed25519"}"#,
    })?;
    let subtle = subtle()?;
    let usages = Array::of1(&JsValue::from_str("verify"));
    let jwk = object(&key.jwk.to_string())?;
    let imported = subtle.import_key_with_object("jwk", &jwk, &algorithm, false, &usages)?;
    let imported: CryptoKey = JsFuture::from(imported).await?.dyn_into()?;
    // Copies: the runtime may still read them when this memory has moved.
    let signature = Uint8Array::from(token.signature.as_slice());
    let signed = Uint8Array::from(token.signed.as_slice());
    let verified = subtle.verify_with_object_and_js_u8_array_and_js_u8_array(
        &algorithm, &imported, &signature, &signed,
    )?;
    Ok(JsFuture::from(verified).await?.is_truthy())
}
