//! `/generated/{file}` and `/private/generated/{file}`: who comes for a picture.

use std::net::IpAddr;

use darkroom_shared::problem::Code;
use darkroom_shared::request::Visibility;
use darkroom_shared::signed_url::{Policy, Presented, Refusal};

use super::settings::Mode;
use super::signer::Signer;
use crate::call::{Call, now};
use crate::failure::{Answer, Failure};
use crate::reply::Reply;
use crate::{pictures, respond};

/// How long a redirect may be kept: it says where CloudFront is, not what is there.
const REDIRECT_SECONDS: i64 = 3600;
/// A day: what browsers may ask never changes.
const PREFLIGHT_SECONDS: &str = "86400";

/// Anybody comes for a public picture.
pub async fn public(call: &Call) -> Answer {
    readable(call, serve_public(call).await)
}

/// Somebody comes for a private picture, with a signature.
pub async fn private(call: &Call) -> Answer {
    readable(call, serve_private(call).await)
}

/// What a browser asks before a page of another site may send more than a plain GET.
pub fn preflight() -> Reply {
    Reply::new(204)
        .with("access-control-allow-origin", "*")
        .with("access-control-allow-methods", "GET, HEAD")
        .with("access-control-allow-headers", "*")
        .with("access-control-max-age", PREFLIGHT_SECONDS)
}

async fn serve_public(call: &Call) -> Answer {
    match Mode::read(&call.env)? {
        Mode::Redirect(domain) => {
            pictures::check_not_deleted(call).await?;
            let url = format!("https://{domain}{}", call.path);
            Ok(redirect(
                &url,
                &format!("public, max-age={REDIRECT_SECONDS}"),
            ))
        }
        Mode::CloudFront(_) | Mode::Proxy => pictures::serve(call, Visibility::Public).await,
    }
}

async fn serve_private(call: &Call) -> Answer {
    let presented = presented(call).map_err(refused)?;
    let signer = Signer::open(&call.env)?;
    if !signer.verifies(&presented).await? {
        return Err(refused(Refusal::Signature));
    }
    let source = call.header("cf-connecting-ip");
    let source: Option<IpAddr> = source.and_then(|address| address.parse().ok());
    let now = now().div_euclid(1000);
    let policy = presented.judge(now, source).map_err(refused)?;
    match &signer.mode {
        Mode::Redirect(domain) => {
            pictures::check_not_deleted(call).await?;
            let lasts = REDIRECT_SECONDS.min(policy.expires - now);
            // There it may do what it may do here, and no longer.
            let there = Policy {
                resource: format!("https://{domain}{}", call.path),
                ..policy
            };
            let url = signer.url(&there).await?;
            Ok(redirect(&url, &format!("private, max-age={lasts}")))
        }
        Mode::CloudFront(_) | Mode::Proxy => pictures::serve(call, Visibility::Private).await,
    }
}

/// The signature in the URL, or where there is none, the one in the cookies.
fn presented(call: &Call) -> Result<Presented, Refusal> {
    let address = format!("{}{}", call.site, call.path);
    match Presented::in_query(&address, &call.query) {
        Err(Refusal::Unsigned) => {
            let cookies = call.header("cookie").unwrap_or_default();
            Presented::in_cookies(&address, &call.query, &cookies)
        }
        found => found,
    }
}

fn refused(refusal: Refusal) -> Failure {
    let detail =
        format!("{refusal}: its owner gets a fresh URL from POST /api/images/ID/signed-url");
    Failure::new(Code::SignatureRefused, detail)
}

fn redirect(url: &str, cache_control: &str) -> Reply {
    Reply::new(302)
        .with("location", url)
        .with("cache-control", cache_control)
}

/// Lets pages of other sites read the answer, whatever it is: it holds nothing that a program with
/// the same URL could not have.
fn readable(call: &Call, answer: Answer) -> Answer {
    let reply = match answer {
        Err(Failure::Problem(problem)) => respond::problem(*problem, &call.request_id),
        answer => answer?,
    };
    call.added.set("access-control-allow-origin", "*");
    call.added.set("access-control-expose-headers", "*");
    call.added
        .set("cross-origin-resource-policy", "cross-origin");
    Ok(reply)
}
