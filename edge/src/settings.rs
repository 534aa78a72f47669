//! The edge's variables and secrets, read where they are needed, so that a wrong one breaks
//! only what depends on it. `wrangler.toml` says what each is for.

use std::time::Duration;

use darkroom_shared::jwt::Expected;
use darkroom_shared::problem::Code;
use darkroom_shared::signature::Secret;
use worker::{Env, console_error};

use crate::failure::Failure;

const ORIGIN_URL: &str = "ORIGIN_URL";
const ORIGIN_SECRETS: &str = "ORIGIN_SECRETS";
const ORIGIN_TIMEOUT_SECONDS: &str = "ORIGIN_TIMEOUT_SECONDS";
const ADMIN_KEY_SHA256: &str = "ADMIN_KEY_SHA256";
/// The KV namespace of the API keys.
pub const KEYS: &str = "KEYS";

const JWT_JWKS_URL: &str = "JWT_JWKS_URL";
const JWT_ISSUER: &str = "JWT_ISSUER";
const JWT_AUDIENCE: &str = "JWT_AUDIENCE";

/// Whose tokens are taken.
pub struct Issuer {
    /// Where its public keys are.
    pub key_set_url: String,
    /// What its tokens must say.
    pub expected: Expected,
}

/// Where the origin is, and how to speak with it.
pub struct Origin {
    /// Scheme and host, for example `https://origin.example.com`.
    pub url: String,
    /// Signs every request.
    pub secret: Secret,
    /// How long it may take to answer what needs no waiting.
    pub timeout: Duration,
}

/// Reads what is needed to ask the origin.
pub fn origin(env: &Env) -> Result<Origin, Failure> {
    Ok(Origin {
        url: origin_url(env)?,
        secret: signing_secret(env)?,
        timeout: origin_timeout(env)?,
    })
}

fn origin_url(env: &Env) -> Result<String, Failure> {
    let text = text(env, ORIGIN_URL)?;
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .unwrap_or_default();
    // What follows a host would have to be signed too, and no origin serves under a prefix.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if host.is_empty() || !host.bytes().all(is_plain) {
        return Err(wrong(
            ORIGIN_URL,
            "must be http(s)://host[:port], without a path",
        ));
    }
    Ok(text)
}

/// The digest of the first admin key, in lower-case hex.
pub fn admin_key_digest(env: &Env) -> Result<String, Failure> {
    let digest = text(env, ADMIN_KEY_SHA256)?.to_ascii_lowercase();
    if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong(ADMIN_KEY_SHA256, "must be 64 hex digits"));
    }
    Ok(digest)
}

/// The issuer whose tokens are taken, if there is one: all three settings, or none.
pub fn issuer(env: &Env) -> Result<Option<Issuer>, Failure> {
    let [url, issuer, audience] = [JWT_JWKS_URL, JWT_ISSUER, JWT_AUDIENCE]
        .map(|name| (name, optional(env, name).unwrap_or_default()));
    let all = [&url, &issuer, &audience];
    if all.iter().all(|(_, value)| value.is_empty()) {
        return Ok(None);
    }
    if let Some((name, _)) = all.iter().find(|(_, value)| value.is_empty()) {
        return Err(wrong(name, "is not set, though others of JWT_… are"));
    }
    // Whoever can change the keys on their way is the issuer.
    let is_safe = url.1.starts_with("https://") || url.1.starts_with("http://127.0.0.1:");
    if !is_safe {
        return Err(wrong(url.0, "must begin with https://"));
    }
    Ok(Some(Issuer {
        key_set_url: url.1,
        expected: Expected {
            issuer: issuer.1,
            audience: audience.1,
        },
    }))
}

/// Of the live secrets the first signs; the others are there for the origin to take.
fn signing_secret(env: &Env) -> Result<Secret, Failure> {
    let secrets = Secret::parse_list(&text(env, ORIGIN_SECRETS)?)
        .map_err(|error| wrong(ORIGIN_SECRETS, &error.to_string()))?;
    secrets
        .into_iter()
        .next()
        .ok_or_else(|| wrong(ORIGIN_SECRETS, "is empty"))
}

fn origin_timeout(env: &Env) -> Result<Duration, Failure> {
    match text(env, ORIGIN_TIMEOUT_SECONDS)?.parse() {
        Ok(seconds @ 1..=90) => Ok(Duration::from_secs(seconds)),
        _ => Err(wrong(
            ORIGIN_TIMEOUT_SECONDS,
            "must be a whole number from 1 to 90",
        )),
    }
}

fn text(env: &Env, name: &str) -> Result<String, Failure> {
    optional(env, name).ok_or_else(|| wrong(name, "is not set"))
}

/// A setting that may be left out.
pub fn optional(env: &Env, name: &str) -> Option<String> {
    let value = env.var(name).ok()?.to_string();
    Some(value.trim().to_owned())
}

/// The log names the setting; the caller only hears whose fault it is.
pub fn wrong(name: &str, reason: &str) -> Failure {
    console_error!("the setting {name} {reason}");
    Failure::new(
        Code::Unavailable,
        "the edge is not configured; its log names the setting",
    )
}
