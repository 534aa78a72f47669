//! Tokens (JWT): who calls, on the word of an issuer whose keys are fetched and kept
//! ([`issuer`]) and used by the platform's cryptography ([`crypto`]).

mod crypto;
mod fetching;
mod issuer;

use darkroom_shared::jwt::{JwtError, Token, Verified};
use darkroom_shared::problem::Code;

use crate::call::{Call, now};
use crate::failure::Failure;
use crate::log;
use crate::settings::Issuer;

/// Who comes with this token.
pub async fn verify(call: &Call, issuer: &Issuer, text: &str) -> Result<Verified, Failure> {
    let token = Token::parse(text).map_err(refused)?;
    let key = issuer::key_for(call, issuer, &token).await?;
    let verified = crypto::verifies(&key, &token).await;
    let is_verified = verified.unwrap_or_else(|error| {
        let message = format_args!("a key at JWT_JWKS_URL is none that can verify: {error}");
        log::error(&call.request_id, message);
        false
    });
    if !is_verified {
        return Err(refused(JwtError::Signature));
    }
    let now = now().div_euclid(1000);
    let claims = token.into_claims();
    claims.check(&issuer.expected, now).map_err(refused)
}

fn refused(error: JwtError) -> Failure {
    Failure::new(Code::Unauthorized, error.to_string())
}
