//! `POST /api/signed-cookies`: for a gallery, whose pages show many private pictures.

use serde_json::{Map, Value, json};

use super::signer::Signer;
use crate::call::{Call, now};
use crate::failure::Answer;
use crate::respond;

/// What the cookies open: object names have no account in them, so it is everybody's.
const GALLERY: &str = "/private/generated/*";

/// Answers cookies that open every private picture, and sets them.
pub async fn signed_cookies(mut call: Call) -> Answer {
    let signer = Signer::open(&call.env)?;
    let ask = signer.asked(&mut call).await?;
    let resource = format!("{}{GALLERY}", signer.mode.base(&call.site));
    let policy = ask.policy(resource, now(), &signer.signing.lifetimes);
    let cookies = signer.cookies(&policy).await?;

    let lasts = policy.expires - now().div_euclid(1000);
    let attributes = attributes(&call, signer.signing.cookie_domain.as_deref(), lasts);
    let named: Map<String, Value> = cookies
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().into()))
        .collect();
    let body = json!({
        "cookies": named,
        "resource": policy.resource,
        "expires_at": policy.expires_at(),
    });
    let reply = respond::json(200, &body);
    for (name, value) in cookies {
        let cookie = format!("{name}={value}{attributes}");
        reply.headers.append("set-cookie", cookie);
    }
    Ok(reply)
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
