//! Asking the origin: every request signed, every wait bounded.

use std::pin::pin;
use std::time::Duration;

use darkroom_shared::problem::Code;
use darkroom_shared::signature::{
    CALLER_HEADER, DIGEST_HEADER, INPUT_HEADER, Parts, SIGNATURE_HEADER, content_digest, sign,
};
use futures_util::future::{Either, select};
use worker::js_sys::Uint8Array;
use worker::worker_sys::web_sys;
use worker::{
    AbortController, AbortSignal, CacheMode, Date, Delay, Fetch, Headers, Method, Request,
    RequestInit, RequestRedirect, Response, console_error,
};

use crate::auth::Caller;
use crate::call::{Call, REQUEST_ID_HEADER};
use crate::failure::Failure;
use crate::random;
use crate::settings::Origin;

/// How long to wait for an answer, and for how much of it.
#[derive(Clone, Copy)]
pub enum Patience {
    /// For all of it.
    Whole(Duration),
    /// For its beginning; the rest may take for ever.
    UntilItBegins(Duration),
}

/// A request to the origin.
pub struct Ask<'a> {
    /// In capitals.
    pub method: &'a str,
    /// Percent-encoded, as it is signed.
    pub path: &'a str,
    /// Without its question mark.
    pub query: &'a str,
    /// On whose behalf.
    pub caller: &'a Caller,
    /// Passed on, so that both logs speak of one request.
    pub request_id: &'a str,
    /// Beside those of signature and request id.
    pub headers: Vec<(&'static str, String)>,
    /// Empty where there is none.
    pub body: Vec<u8>,
    /// How long.
    pub patience: Patience,
}

impl<'a> Ask<'a> {
    /// Asks what `call` asks, without its body and its headers.
    pub fn new(call: &'a Call, caller: &'a Caller, patience: Patience) -> Self {
        Self {
            method: &call.method,
            path: &call.path,
            query: &call.query,
            caller,
            request_id: &call.request_id,
            headers: Vec::new(),
            body: Vec::new(),
            patience,
        }
    }
}

/// Signs and sends. An answer of any status is an answer: what it says is for
/// [`crate::respond`] to judge.
pub async fn ask(origin: &Origin, ask: Ask<'_>) -> Result<Response, Failure> {
    let mut init = RequestInit::new();
    init.with_method(Method::from(ask.method.to_owned()))
        .with_headers(signed_headers(origin, &ask)?);
    if !ask.body.is_empty() {
        init.with_body(Some(Uint8Array::from(ask.body.as_slice()).into()));
    }
    let url = match ask.query {
        "" => format!("{}{}", origin.url, ask.path),
        query => format!("{}{}?{query}", origin.url, ask.path),
    };
    send(&url, init, ask.patience, ask.request_id).await
}

/// Sends a request to the origin as it is. An origin never redirects, and its answers are
/// cached by us or not at all.
pub async fn send(
    url: &str,
    mut init: RequestInit,
    patience: Patience,
    request_id: &str,
) -> Result<Response, Failure> {
    init.with_redirect(RequestRedirect::Manual)
        .with_cache(CacheMode::NoStore);
    let fetch = Fetch::Request(Request::new_with_init(url, &init)?);
    let (result, is_late) = match patience {
        Patience::Whole(limit) => {
            let millis = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
            let signal = AbortSignal::from(web_sys::AbortSignal::timeout_with_u32(millis));
            let result = fetch.send_with_signal(&signal).await;
            (result, signal.aborted())
        }
        Patience::UntilItBegins(limit) => {
            let controller = AbortController::default();
            let signal = controller.signal();
            let answer = pin!(fetch.send_with_signal(&signal));
            match select(answer, Delay::from(limit)).await {
                Either::Left((result, _)) => (result, false),
                Either::Right(((), answer)) => {
                    controller.abort();
                    (answer.await, true)
                }
            }
        }
    };
    result.map_err(|error| {
        // The runtime's message may hold the origin's address: it is for the log alone.
        console_error!("{request_id}: the origin did not answer: {error}");
        if is_late {
            Failure::new(Code::OriginTimeout, "the origin took too long to answer")
        } else {
            unreachable_origin()
        }
    })
}

/// What is said of an origin that is down, or behind something that answers for it.
pub fn unreachable_origin() -> Failure {
    Failure::new(
        Code::OriginUnreachable,
        "the origin cannot be reached; try again in a moment",
    )
}

fn signed_headers(origin: &Origin, ask: &Ask<'_>) -> Result<Headers, Failure> {
    let digest = content_digest(&ask.body);
    let parts = Parts {
        method: ask.method,
        path: ask.path,
        query: ask.query,
        content_digest: &digest,
        caller: ask.caller.as_str(),
    };
    let created = i64::try_from(Date::now().as_millis() / 1000).unwrap_or(i64::MAX);
    let signature = sign(&origin.secret, &parts, created, &random::nonce()?).map_err(|error| {
        console_error!("{}: cannot sign: {error}", ask.request_id);
        Failure::new(Code::Internal, "the request to the origin cannot be signed")
    })?;

    let headers = Headers::new();
    for (name, value) in &ask.headers {
        headers.set(name, value)?;
    }
    headers.set(REQUEST_ID_HEADER, ask.request_id)?;
    headers.set(CALLER_HEADER, ask.caller.as_str())?;
    headers.set(DIGEST_HEADER, &digest)?;
    headers.set(INPUT_HEADER, &signature.input)?;
    headers.set(SIGNATURE_HEADER, &signature.signature)?;
    Ok(headers)
}
