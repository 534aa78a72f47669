//! Asking the origin: every request signed, and sent as often as [`crate::attempts`] says.

use std::time::Duration;

use darkroom_shared::problem::Code;
use darkroom_shared::signature::{
    CALLER_HEADER, DIGEST_HEADER, INPUT_HEADER, Parts, SIGNATURE_HEADER, content_digest, sign,
};
use darkroom_shared::trace::{TRACEPARENT_HEADER, TraceParent};

use crate::attempts::until_answered;
use crate::auth::Caller;
use crate::border::{self, Lines, Outgoing};
use crate::call::{Call, REQUEST_ID_HEADER, now};
use crate::failure::Failure;
use crate::observed::Observed;
use crate::sending::{Opened, Sending, Whole, unreachable_origin};
use crate::settings::Origin;
use crate::{log, random};

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
    pub body: &'a [u8],
    /// How long the answer may take.
    pub limit: Duration,
    /// Whether it may be asked again where no answer comes: what is safe may.
    pub may_repeat: bool,
    /// Passed on, so that what the origin does is seen as a part of it.
    pub trace: TraceParent,
    /// Told how long it took, where a call is being answered.
    pub observed: Option<&'a Observed>,
}

impl<'a> Ask<'a> {
    /// Asks what `call` asks, without its body and its headers.
    pub fn new(call: &'a Call, caller: &'a Caller, limit: Duration) -> Self {
        Self {
            method: &call.method,
            path: &call.path,
            query: &call.query,
            caller,
            request_id: &call.request_id,
            headers: Vec::new(),
            body: &[],
            limit,
            may_repeat: matches!(call.method.as_str(), "GET" | "HEAD"),
            trace: call.observed.trace(),
            observed: Some(&call.observed),
        }
    }
}

/// Signs, sends, and waits for the whole answer. An answer of any status is an answer: what it
/// says is for [`crate::respond`] to judge.
pub async fn ask(origin: &Origin, ask: Ask<'_>) -> Result<Whole, Failure> {
    match open(origin, ask).await? {
        Opened::Whole(whole) => Ok(whole),
        Opened::Events(_) => Err(unreachable_origin()),
    }
}

/// The same for a stream of events: it is waited for until it begins.
pub async fn open(origin: &Origin, ask: Ask<'_>) -> Result<Opened, Failure> {
    until_answered(origin, &ask).await
}

/// One attempt, to the origin at `url`. Another one is signed anew: a signature counts once.
pub fn signed<'a>(
    origin: &Origin,
    url: &str,
    ask: &Ask<'a>,
    limit: Duration,
) -> Result<Sending<'a>, Failure> {
    let url = match ask.query {
        "" => format!("{url}{}", ask.path),
        query => format!("{url}{}?{query}", ask.path),
    };
    Ok(Sending {
        url,
        request: Outgoing {
            method: ask.method,
            headers: signed_headers(origin, ask)?,
            body: border::bytes(ask.body),
            limit,
        },
        request_id: ask.request_id,
    })
}

fn signed_headers(origin: &Origin, ask: &Ask<'_>) -> Result<Lines, Failure> {
    let digest = content_digest(ask.body);
    let parts = Parts {
        method: ask.method,
        path: ask.path,
        query: ask.query,
        content_digest: &digest,
        caller: ask.caller.as_str(),
    };
    let created = now().div_euclid(1000);
    let signature = sign(&origin.secret, &parts, created, &random::nonce()?).map_err(|error| {
        log::error(ask.request_id, format_args!("cannot sign: {error}"));
        Failure::new(Code::Internal, "the request to the origin cannot be signed")
    })?;

    let headers = Lines::default();
    for (name, value) in &ask.headers {
        headers.set(name, value);
    }
    headers.set(REQUEST_ID_HEADER, ask.request_id);
    headers.set(TRACEPARENT_HEADER, &ask.trace.to_string());
    headers.set(CALLER_HEADER, ask.caller.as_str());
    headers.set(DIGEST_HEADER, &digest);
    headers.set(INPUT_HEADER, &signature.input);
    headers.set(SIGNATURE_HEADER, &signature.signature);
    Ok(headers)
}
