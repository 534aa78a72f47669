//! What is configured. `wrangler.toml` says what each setting is for.

use std::ops::RangeInclusive;

use darkroom_shared::signed_url::{Hash, Lifetimes};
use worker::Env;

use crate::failure::Failure;
use crate::settings::{optional, wrong};

const DELIVERY: &str = "DELIVERY";
const CLOUDFRONT_DOMAIN: &str = "CLOUDFRONT_DOMAIN";
const SIGNING_HASH: &str = "SIGNING_HASH";
const DEFAULT_SECONDS: &str = "SIGNED_URL_SECONDS";
const MAX_SECONDS: &str = "SIGNED_URL_MAX_SECONDS";
const WINDOW_SECONDS: &str = "SIGNED_URL_WINDOW_SECONDS";
const COOKIE_DOMAIN: &str = "COOKIE_DOMAIN";

const YEAR: u64 = 366 * 86_400;

/// Where pictures are fetched. A domain is CloudFront's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// There: answers name its addresses.
    CloudFront(String),
    /// There, but answers name the edge's addresses, which lead on.
    Redirect(String),
    /// Here.
    Proxy,
}

impl Mode {
    /// Reads where pictures are fetched.
    pub fn read(env: &Env) -> Result<Self, Failure> {
        let domain = set(env, CLOUDFRONT_DOMAIN);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
        if domain
            .as_ref()
            .is_some_and(|domain| !domain.bytes().all(is_plain))
        {
            let reason = "must be a host alone, as d111111abcdef8.cloudfront.net";
            return Err(wrong(CLOUDFRONT_DOMAIN, reason));
        }
        match (set(env, DELIVERY).as_deref(), domain) {
            (None | Some("cloudfront"), Some(domain)) => Ok(Self::CloudFront(domain)),
            (Some("redirect"), Some(domain)) => Ok(Self::Redirect(domain)),
            (None | Some("proxy"), _) => Ok(Self::Proxy),
            (Some("cloudfront" | "redirect"), None) => Err(wrong(
                CLOUDFRONT_DOMAIN,
                "is not set, though DELIVERY needs it",
            )),
            (Some(_), _) => Err(wrong(DELIVERY, "must be cloudfront, redirect or proxy")),
        }
    }

    /// What private pictures' addresses begin with, for a caller who knows the edge as `site`.
    pub fn base(&self, site: &str) -> String {
        match self {
            Self::CloudFront(domain) => format!("https://{domain}"),
            Self::Redirect(_) | Self::Proxy => site.to_owned(),
        }
    }
}

/// How signatures are made.
#[derive(Clone, Debug)]
pub(super) struct Signing {
    pub hash: Hash,
    pub lifetimes: Lifetimes,
    /// Whose hosts are sent the cookies, where it is not the edge alone.
    pub cookie_domain: Option<String>,
}

impl Signing {
    /// Reads how signatures are made.
    pub fn read(env: &Env) -> Result<Self, Failure> {
        let hash = match set(env, SIGNING_HASH).as_deref() {
            None | Some("sha1") => Hash::Sha1,
            Some("sha256") => Hash::Sha256,
            Some(_) => return Err(wrong(SIGNING_HASH, "must be sha1 or sha256")),
        };
        let most = seconds(env, MAX_SECONDS, 1..=YEAR, 7 * 86_400)?;
        Ok(Self {
            hash,
            lifetimes: Lifetimes {
                default: seconds(env, DEFAULT_SECONDS, 1..=most, most.min(3600))?,
                most,
                window: seconds(env, WINDOW_SECONDS, 1..=YEAR, 900)?,
            },
            cookie_domain: set(env, COOKIE_DOMAIN),
        })
    }
}

fn seconds(
    env: &Env,
    name: &'static str,
    range: RangeInclusive<u64>,
    default: u64,
) -> Result<u64, Failure> {
    let Some(text) = set(env, name) else {
        return Ok(default);
    };
    match text.parse() {
        Ok(seconds) if range.contains(&seconds) => Ok(seconds),
        _ => {
            let (least, most) = (range.start(), range.end());
            let reason = format!("must be a whole number from {least} to {most}");
            Err(wrong(name, &reason))
        }
    }
}

/// An empty setting is none.
fn set(env: &Env, name: &'static str) -> Option<String> {
    optional(env, name).filter(|value| !value.is_empty())
}
