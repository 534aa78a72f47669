//! `/api/posts`: the origin's catalog, which the edge passes on. Published posts are for everybody;
//! who comes with a key sees the account's others too.

use darkroom_shared::posts::MAX_BODY;

use crate::auth::Caller;
use crate::call::Call;
use crate::failure::Answer;
use crate::origin::{self, Ask};
use crate::reply::Reply;
use crate::sending::Whole;
use crate::{body, respond, settings};

const NOT_MODIFIED: u16 = 304;
/// Of what everybody may see: shared caches have it for half a minute, browsers ask each time.
const PUBLIC: &str = "public, max-age=0, s-maxage=30";
/// Of what a key was needed for.
const PRIVATE: &str = "private, no-cache";

/// Answers one post, or a page of them.
pub async fn read(call: &Call, caller: &Caller, is_public: bool) -> Answer {
    let origin = settings::origin(&call.env)?;
    let mut ask = Ask::new(call, caller, origin.timeout);
    if let Some(known) = call.header("if-none-match") {
        ask.headers.push(("if-none-match", known));
    }
    let answer = origin::ask(&origin, ask).await?;
    let reply = match answer.status {
        NOT_MODIFIED => Reply::new(NOT_MODIFIED),
        _ => respond::relay(call, &answer, &origin).await?,
    };
    if matches!(answer.status, 200 | NOT_MODIFIED) {
        let caching = if is_public { PUBLIC } else { PRIVATE };
        reply.headers.set("cache-control", caching);
        reply.headers.append("vary", "Authorization");
    }
    Ok(with_etag(reply, &answer))
}

/// Passes on a call that makes or changes a post.
pub async fn write(mut call: Call, caller: &Caller) -> Answer {
    let body = body::read_json(&mut call, MAX_BODY).await?;
    send(&call, caller, &body).await
}

/// Passes on a call that deletes or restores one, and has no body.
pub async fn mark(call: &Call, caller: &Caller) -> Answer {
    send(call, caller, &[]).await
}

async fn send(call: &Call, caller: &Caller, body: &[u8]) -> Answer {
    let origin = settings::origin(&call.env)?;
    let mut ask = Ask {
        body,
        ..Ask::new(call, caller, origin.timeout)
    };
    if !body.is_empty() {
        ask.headers
            .push(("content-type", "application/json".to_owned()));
    }
    if let Some(required) = call.header("if-match") {
        ask.headers.push(("if-match", required));
    }
    let answer = origin::ask(&origin, ask).await?;
    let reply = respond::relay(call, &answer, &origin).await?;
    Ok(with_etag(reply, &answer))
}

fn with_etag(reply: Reply, answer: &Whole) -> Reply {
    match answer.headers.get("etag") {
        Some(etag) => reply.with("etag", etag),
        None => reply,
    }
}
