//! `POST /api/images/{id}/signed-url`

use darkroom_shared::problem::Code;
use darkroom_shared::request::Visibility;
use serde_json::{Value, json};

use super::signer::Signer;
use crate::auth::Caller;
use crate::call::{Call, now};
use crate::failure::{Answer, Failure};
use crate::sending::unreachable_origin;
use crate::{origin, respond, settings};

/// Answers a signed URL of one of the caller's images, as long and as wide as was asked for.
pub async fn signed_url(mut call: Call, caller: &Caller) -> Answer {
    let signer = Signer::open(&call.env)?;
    let ask = signer.asked(&mut call).await?;

    let origin = settings::origin(&call.env)?;
    let asked = origin::Ask {
        method: "GET",
        path: call.path.strip_suffix("/signed-url").unwrap_or_default(),
        query: "",
        ..origin::Ask::new(&call, caller, origin.timeout)
    };
    let answer = origin::ask(&origin, asked).await?;
    if answer.status != 200 {
        return respond::relay(&call, &answer, &origin).await;
    }
    let image: Value = answer.json().map_err(|_| unreachable_origin())?;
    let text = |name| image.get(name).and_then(Value::as_str).unwrap_or_default();
    if text("visibility") != Visibility::Private.as_str() {
        let detail = "the image is public: its url needs no signature";
        return Err(Failure::new(Code::Invalid, detail));
    }
    let resource = format!("{}/{}", signer.mode.base(&call.site), text("key"));
    let policy = ask.policy(resource, now(), &signer.signing.lifetimes);
    let url = signer.url(&policy).await?;
    let body = json!({ "url": url, "expires_at": policy.expires_at() });
    Ok(respond::json(200, &body))
}
