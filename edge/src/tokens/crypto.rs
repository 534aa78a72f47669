//! Signatures, by the platform.

use darkroom_shared::jwt::{Algorithm, PublicKey, Token};

use crate::webcrypto::{self, object};

/// Whether the key made the token's signature.
pub(super) async fn verifies(key: &PublicKey, token: &Token) -> worker::Result<bool> {
    let algorithm = object(match key.algorithm {
        Algorithm::Rs256 => r#"{"name":"RSASSA-PKCS1-v1_5","hash":"SHA-256"}"#,
        Algorithm::Es256 => r#"{"name":"ECDSA","namedCurve":"P-256","hash":"SHA-256"}"#,
        Algorithm::EdDsa => r#"{"name":"Ed25519"}"#,
    })?;
    let jwk = object(&key.jwk.to_string())?;
    let public = webcrypto::public_key("jwk", &jwk, &algorithm).await?;
    webcrypto::verifies(&algorithm, &public, &token.signed, &token.signature).await
}
