//! How a receiver knows that it is told the truth.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use standardwebhooks::{
    HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook, WebhookError,
};

/// Bytes of a key: what the specification's 24 to 64 has room for, and HMAC-SHA-256 uses.
const KEY: usize = 32;

/// A new signing secret: `whsec_` and the key in base64.
///
/// # Errors
/// The system has no random numbers.
pub fn fresh_secret() -> Result<SecretString, getrandom::Error> {
    let mut key = [0; KEY];
    getrandom::fill(&mut key)?;
    Ok(format!("whsec_{}", STANDARD.encode(key)).into())
}

/// The headers of one attempt: the event's id, the moment (Unix seconds), and a signature by each
/// of the secrets, so that a receiver may still know only the one before the last.
///
/// # Errors
/// A stored secret is none, or `body` is no text.
pub fn headers(
    id: &str,
    at: i64,
    body: &[u8],
    secrets: &[SecretString],
) -> Result<HeaderMap, WebhookError> {
    let signatures = secrets.iter().map(|secret| {
        let webhook = Webhook::new(secret.expose_secret())?;
        webhook.sign(id, at, body)
    });
    let signatures: Vec<String> = signatures.collect::<Result<_, _>>()?;
    let mut headers = HeaderMap::new();
    for (name, text) in [
        (HEADER_WEBHOOK_ID, id.to_owned()),
        (HEADER_WEBHOOK_TIMESTAMP, at.to_string()),
        (HEADER_WEBHOOK_SIGNATURE, signatures.join(" ")),
    ] {
        let value = HeaderValue::from_str(&text).map_err(|_| WebhookError::InvalidHeader(name))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The specification's own example.
    #[test]
    fn the_signature_is_the_specifications() {
        let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".to_owned().into();
        let body = br#"{"email":"test@example.com","username":"test_user"}"#;
        let id = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
        let headers = headers(id, 1_649_367_553, body, &[secret]).expect("signed");
        assert_eq!(
            headers[HEADER_WEBHOOK_SIGNATURE],
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
        );
        assert_eq!(headers[HEADER_WEBHOOK_ID], id);
        assert_eq!(headers[HEADER_WEBHOOK_TIMESTAMP], "1649367553");
    }

    #[test]
    fn each_secret_signs() {
        let secrets = [(); 2].map(|()| fresh_secret().expect("random"));
        let headers = headers("msg_1", 1, b"{}", &secrets).expect("signed");
        let signatures = headers[HEADER_WEBHOOK_SIGNATURE].to_str().expect("text");
        let (one, other) = signatures.split_once(' ').expect("two");
        assert!(one.starts_with("v1,") && other.starts_with("v1,") && one != other);
        assert_eq!(secrets[0].expose_secret().len(), 50);
    }
}
