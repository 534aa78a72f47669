//! One request, taken apart.

use std::rc::Rc;

use darkroom_shared::timestamp::UnixMillis;
use darkroom_shared::trace::TRACEPARENT_HEADER;
use worker::js_sys::Date;
use worker::{Context, Env};

use crate::border::{self, Head, Lines, NotRead};
use crate::observed::Observed;
use crate::{bindings, random, settings};

/// Carries the request's id, both ways and on to the origin.
pub const REQUEST_ID_HEADER: &str = "x-request-id";

/// One request and what a handler needs beside it.
pub struct Call {
    /// The method's own text.
    pub method: String,
    /// Scheme and host under which the edge was asked.
    pub site: String,
    /// The path as sent, still percent-encoded, but with its dot segments resolved.
    pub path: String,
    /// The query as sent, without its question mark.
    pub query: String,
    /// Named in the answer, in problems and in logs.
    pub request_id: String,
    /// What a call under an `Idempotency-Key` does has this id, however often it is sent.
    pub attempt: Option<String>,
    /// What is noted on the way.
    pub observed: Rc<Observed>,
    /// What its answer's headers say whatever it is.
    pub added: Rc<Lines>,
    head: Head,
    /// The request itself, for its body.
    pub request: web_sys::Request,
    /// The Worker's bindings.
    pub env: Env,
    /// Keeps work alive that outlasts the answer.
    pub context: Context,
}

impl Call {
    /// Takes a request apart.
    pub fn new(request: web_sys::Request, env: Env, context: Context) -> Self {
        if border::has_new_bindings(&env) {
            settings::forget();
            bindings::forget();
        }
        let head = Head::of(&request);
        let (site, path, query) = split_url(head.url());
        let method = head.method().to_owned();
        let usual = |name| head.header(name).ok().flatten();
        let request_id = request_id(usual(REQUEST_ID_HEADER));
        let traceparent = usual(TRACEPARENT_HEADER);
        let observed = Observed::begin(method.clone(), request_id.clone(), traceparent);
        Self {
            method,
            site: site.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            request_id,
            attempt: None,
            observed: Rc::new(observed),
            added: Rc::default(),
            head,
            request,
            env,
            context,
        }
    }

    /// A header's value. One that is absent and one that cannot be read are the same to us.
    pub fn header(&self, name: &str) -> Option<String> {
        match self.head.header(name) {
            Ok(value) => value.map(str::to_owned),
            Err(NotRead) => self.request.headers().get(name).ok().flatten(),
        }
    }
}

/// The present moment. Standard Rust's clocks panic on this platform.
pub fn now() -> UnixMillis {
    Date::now() as UnixMillis
}

/// The id that the caller sent, where it is a sane one, or a new one.
fn request_id(sent: Option<&str>) -> String {
    sent.filter(|id| is_plain_id(id))
        .map_or_else(|| random::request_id().to_string(), str::to_owned)
}

/// Whether an id can go into logs and headers: it is nothing that could be taken for more than one.
pub fn is_plain_id(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=128).contains(&id.len()) && id.bytes().all(is_plain)
}

/// Site, path and query of a serialised URL. The runtime has parsed it before: a URL parser of
/// our own would be a tenth of the Worker's size.
fn split_url(url: &str) -> (&str, &str, &str) {
    let url = url.split('#').next().unwrap_or_default();
    let (url, query) = url.split_once('?').unwrap_or((url, ""));
    let host = url.find("://").map_or(0, |scheme| scheme + 3);
    let path = url
        .get(host..)
        .and_then(|rest| rest.find('/'))
        .map_or(url.len(), |slash| host + slash);
    match (url.get(..path), url.get(path..)) {
        (Some(site), Some(path)) if !path.is_empty() => (site, path, query),
        _ => (url, "/", query),
    }
}
