//! `POST /api/images/{id}/signed-url`

use darkroom_shared::problem::Code;
use darkroom_shared::request::Visibility;
use darkroom_shared::signed_url::Ask;
use darkroom_shared::timestamp::to_rfc3339;
use serde_json::{Value, json};

use super::settings::Mode;
use super::signer::Signer;
use crate::auth::Caller;
use crate::call::{Call, now};
use crate::failure::{Answer, Failure};
use crate::sending::unreachable_origin;
use crate::{body, origin, respond, settings};

/// No body here comes near.
const MAX_BODY: usize = 4 * 1024;

/// Answers a signed URL of one of the caller's images, as long and as wide as was asked for.
pub async fn signed_url(mut call: Call, caller: &Caller) -> Answer {
    let body = body::read_optional_json(&mut call, MAX_BODY).await?;
    let signer = Signer::open(&call.env)?;
    let mode = Mode::read(&call.env)?;
    let lifetimes = signer.signing.lifetimes;
    let ask = Ask::from_json(&body, now(), &lifetimes, mode == Mode::Proxy)?;

    let origin = settings::origin(&call.env)?;
    let asked = origin::Ask {
        method: "GET",
        path: call.path.trim_end_matches("/signed-url"),
        query: "",
        ..origin::Ask::new(&call, caller, origin.timeout)
    };
    let answer = origin::ask(&origin, asked).await?;
    if answer.status != 200 {
        return respond::relay(&call, &answer, &origin).await;
    }
    let image: Value =
        serde_json::from_slice(&answer.bytes.to_vec()).map_err(|_| unreachable_origin())?;
    let text = |name| image.get(name).and_then(Value::as_str).unwrap_or_default();
    if text("visibility") != Visibility::Private.as_str() {
        let detail = "the image is public: its url needs no signature";
        return Err(Failure::new(Code::Invalid, detail));
    }
    let resource = format!("{}/{}", mode.base(&call.site), text("key"));
    let policy = ask.policy(resource, now(), &lifetimes);
    let url = signer.url(&policy).await?;
    let expires_at = to_rfc3339(policy.expires.saturating_mul(1000));
    respond::json(200, &json!({ "url": url, "expires_at": expires_at }))
}
