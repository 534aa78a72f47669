//! The platform's cryptography.

use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{Crypto, SubtleCrypto};
use worker::js_sys::{JSON, Object, Reflect, global};

/// `crypto.subtle`.
pub fn subtle() -> worker::Result<SubtleCrypto> {
    let crypto = Reflect::get(&global(), &JsValue::from_str("crypto"))?;
    // A Worker's `Crypto` is not always the class of that name.
    Ok(crypto.unchecked_into::<Crypto>().subtle())
}

/// A JavaScript object, as algorithms and keys are told.
pub fn object(json: &str) -> worker::Result<Object> {
    Ok(JSON::parse(json)?.dyn_into()?)
}
