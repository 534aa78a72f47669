//! `POST /api/signed-cookies`: for a gallery, whose pages show many private pictures.

use darkroom_shared::signed_url::Ask;
use darkroom_shared::timestamp::to_rfc3339;
use serde_json::{Map, Value, json};

use super::settings::Mode;
use super::signer::Signer;
use crate::call::{Call, now};
use crate::failure::Answer;
use crate::{body, respond};

/// No body here comes near.
const MAX_BODY: usize = 4 * 1024;
/// What the cookies open: object names have no account in them, so it is everybody's.
const GALLERY: &str = "/private/generated/*";

/// Answers cookies that open every private picture, and sets them.
pub async fn signed_cookies(mut call: Call) -> Answer {
    let body = body::read_optional_json(&mut call, MAX_BODY).await?;
    let signer = Signer::open(&call.env)?;
    let mode = Mode::read(&call.env)?;
    let lifetimes = signer.signing.lifetimes;
    let ask = Ask::from_json(&body, now(), &lifetimes, mode == Mode::Proxy)?;
    let resource = format!("{}{GALLERY}", mode.base(&call.site));
    let policy = ask.policy(resource, now(), &lifetimes);
    let cookies = signer.cookies(&policy).await?;

    let lasts = policy.expires - now().div_euclid(1000);
    let attributes = attributes(&call, signer.signing.cookie_domain.as_deref(), lasts);
    let expires_at = to_rfc3339(policy.expires.saturating_mul(1000));
    let named: Map<String, Value> = cookies
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().into()))
        .collect();
    let body = json!({
        "cookies": named,
        "resource": policy.resource,
        "expires_at": expires_at,
    });
    let response = respond::json(200, &body)?;
    for (name, value) in cookies {
        let cookie = format!("{name}={value}{attributes}");
        response.headers().append("set-cookie", &cookie)?;
    }
    Ok(response)
}

fn attributes(call: &Call, domain: Option<&str>, lasts: i64) -> String {
    let domain = domain.map(|domain| format!("; Domain={domain}"));
    // On a laptop there is no TLS, and programs would never send them.
    let secure = if call.site.starts_with("https://") {
        "; Secure"
    } else {
        ""
    };
    format!(
        "; Path=/private; Max-Age={lasts}; HttpOnly; SameSite=Lax{secure}{}",
        domain.unwrap_or_default()
    )
}
