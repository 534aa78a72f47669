//! The edge's variables and secrets, read where they are needed, so that a wrong one breaks
//! only what depends on it. `wrangler.toml` says what each is for.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use darkroom_shared::allowance::Allowance;
use darkroom_shared::cors::AllowedOrigins;
use darkroom_shared::jwt::Expected;
use darkroom_shared::origins::parse_urls;
use darkroom_shared::outside::Reach;
use darkroom_shared::problem::Code;
use darkroom_shared::signature::Secret;
use worker::Env;

use crate::auth::CallerLimits;
use crate::failure::Failure;
use crate::{delivery, log};

const ORIGIN_URL: &str = "ORIGIN_URL";
const ORIGIN_SECRETS: &str = "ORIGIN_SECRETS";
const ORIGIN_TIMEOUT_SECONDS: &str = "ORIGIN_TIMEOUT_SECONDS";
const ADMIN_KEY_SHA256: &str = "ADMIN_KEY_SHA256";
/// The KV namespace of the API keys.
pub const KEYS: &str = "KEYS";
/// The Analytics Engine dataset that is told of each request, where one is bound.
pub const ANALYTICS: &str = "ANALYTICS";
const CORS_ORIGINS: &str = "CORS_ORIGINS";
const ALLOWED_NETWORKS: &str = "ALLOWED_NETWORKS";

/// The Durable Objects of the keys' allowances.
pub const KEY_ALLOWANCES: &str = "KEY_ALLOWANCES";
/// The Durable Objects of the recipes' flights.
pub const FLIGHTS: &str = "FLIGHTS";
/// The Durable Objects of the idempotency keys.
pub const IDEMPOTENCY_KEYS: &str = "IDEMPOTENCY_KEYS";
/// The KV namespace of finished recipes and deleted pictures.
pub const RECIPES: &str = "RECIPES";
/// The platform's rate limiter.
pub const BURST: &str = "BURST";

const RATE_PER_MINUTE: &str = "RATE_PER_MINUTE";
const DAILY_IMAGES: &str = "DAILY_IMAGES";

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
    /// Scheme and host, for example `https://origin.example.com`: one at least. Any of them can
    /// answer any call.
    pub urls: Vec<String>,
    /// Signs every request.
    pub secret: Secret,
    /// How long it may take to answer what needs no waiting.
    pub timeout: Duration,
}

/// Reads what is needed to ask the origin.
pub fn origin(env: &Env) -> Result<Origin, Failure> {
    Ok(Origin {
        urls: origin_urls(env)?,
        secret: signing_secret(env)?,
        timeout: origin_timeout(env)?,
    })
}

fn origin_urls(env: &Env) -> Result<Vec<String>, Failure> {
    parse_urls(&text(env, ORIGIN_URL)?).ok_or_else(|| {
        let reason = "must be http(s)://host[:port] without a path, several parted by commas";
        wrong(ORIGIN_URL, reason)
    })
}

/// The pages that may call the API, where any may.
pub fn allowed_origins(env: &Env) -> Result<Option<AllowedOrigins>, Failure> {
    let text = optional(env, CORS_ORIGINS).filter(|text| !text.is_empty());
    text.map(|text| {
        AllowedOrigins::parse(&text).ok_or_else(|| {
            let reason = "must be `*`, or http(s)://host[:port], several parted by commas";
            wrong(CORS_ORIGINS, reason)
        })
    })
    .transpose()
}

/// How far addresses in requests may lead: the origin's `DARKROOM_ALLOWED_NETWORKS` must say the same.
pub fn reach(env: &Env) -> Result<Reach, Failure> {
    let text = optional(env, ALLOWED_NETWORKS).unwrap_or_default();
    Reach::parse(&text).map_err(|reason| wrong(ALLOWED_NETWORKS, &reason))
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

/// What a caller is held to: its own limits, and everybody's where it has none.
pub fn allowance(env: &Env, own: &CallerLimits) -> Result<Allowance, Failure> {
    let limit = |own: Option<u32>, name| own.map_or_else(|| whole(env, name), Ok);
    Ok(Allowance::new(
        limit(own.rate_per_minute, RATE_PER_MINUTE)?,
        limit(own.daily_images, DAILY_IMAGES)?,
    ))
}

fn whole(env: &Env, name: &'static str) -> Result<u32, Failure> {
    let value = text(env, name)?.parse().ok();
    value
        .filter(|value| *value > 0)
        .ok_or_else(|| wrong(name, "must be a whole number above 0"))
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

fn text(env: &Env, name: &'static str) -> Result<String, Failure> {
    optional(env, name).ok_or_else(|| wrong(name, "is not set"))
}

thread_local! {
    /// What was read before: to ask the runtime costs more than most of what is done with the
    /// answer.
    static KNOWN: RefCell<BTreeMap<&'static str, Option<String>>> = RefCell::default();
}

/// A setting that may be left out.
pub fn optional(env: &Env, name: &'static str) -> Option<String> {
    let read = || Some(env.var(name).ok()?.to_string().trim().to_owned());
    KNOWN.with_borrow_mut(|known| known.entry(name).or_insert_with(read).clone())
}

/// Forgets what was read, and what was made of it: the settings are others.
pub fn forget() {
    KNOWN.take();
    delivery::forget_keys();
}

/// The same of a KV namespace that is not there.
pub fn unbound(name: &str) -> Failure {
    wrong(name, "is not bound to a KV namespace")
}

/// The log names the setting; the caller only hears whose fault it is.
pub fn wrong(name: &str, reason: &str) -> Failure {
    log::error("", format_args!("the setting {name} {reason}"));
    Failure::new(
        Code::Unavailable,
        "the edge is not configured; its log names the setting",
    )
}
