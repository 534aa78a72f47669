//! Where wasm meets the runtime, on every request's way. A text that crosses is copied and decoded,
//! which costs more than most of what is done with it: so what a request is crosses in one text,
//! and what an answer has beside its body in another.

use std::cell::RefCell;
use std::time::Duration;

use darkroom_shared::job::JOINED_HEADER;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};
use worker::js_sys::futures::JsFuture;
use worker::js_sys::{Array, Function, Promise, Uint8Array};
use worker::{Env, Response, worker_sys};

use crate::kv::Namespace;
use crate::reply::Headers;
use crate::sending::Whole;
use crate::{flights, idempotency};

#[wasm_bindgen(module = "/src/border.js")]
extern "C" {
    #[wasm_bindgen(js_name = readHeaders)]
    fn read_headers(of_requests: &str, of_answers: &str);
    #[wasm_bindgen(js_name = isNew)]
    fn is_new(env: &Env) -> bool;
    #[wasm_bindgen(js_name = readRequest)]
    fn read_request(request: &web_sys::Request) -> String;
    /// A body, whole; null where it has more bytes than `most`, whatever it announced.
    #[wasm_bindgen(js_name = readBody)]
    pub fn read_body(request: &web_sys::Request, most: f64) -> Promise;
    /// What the platform's cache has under an address: undefined where it has nothing, null where
    /// the namespace, if there is one, has something under the name `unless`. One wait for both.
    pub fn cached(url: &str, namespace: Option<&Namespace>, unless: &str) -> Promise;
    /// Whether a KV namespace has something under one of these names, a line each.
    #[wasm_bindgen(js_name = hasAny)]
    pub fn has_any(namespace: &Namespace, names: &str) -> Promise;
    /// Whether the platform's limiter lets one more of this name through.
    #[wasm_bindgen(js_name = mayPass)]
    pub fn may_pass(limiter: &JsValue, name: &str) -> Promise;
    /// Says something to a Durable Object, and reads what it answers, both as texts; null where that
    /// takes more milliseconds than `limit`.
    #[wasm_bindgen(js_name = askObject)]
    fn ask_object(namespace: &JsValue, name: &str, message: &str, limit: f64) -> Promise;
    #[wasm_bindgen(js_name = sendObject)]
    fn send_object(
        namespace: &JsValue,
        name: &str,
        method: &str,
        lines: &str,
        body: &JsValue,
        limit: f64,
    ) -> Promise;
    #[wasm_bindgen(js_name = send)]
    fn send_request(
        method: &str,
        url: &str,
        lines: &str,
        body: &JsValue,
        limit: f64,
        unread: &str,
    ) -> Promise;
    /// Has a call go on for a while where its caller hangs up, and then says something to a Durable
    /// Object, in this header (name and value, a line each). What is given back takes that back,
    /// before the caller leaves and after.
    #[wasm_bindgen(js_name = whenLeft)]
    pub fn when_left(
        request: &web_sys::Request,
        context: &worker_sys::Context,
        namespace: &JsValue,
        name: &str,
        header: &str,
    ) -> Function;
    /// Runs a statement with these values, a list in JSON: its rows, as lists too.
    #[wasm_bindgen(catch, js_name = runSql)]
    pub fn run_sql(sql: &JsValue, statement: &str, values: &str) -> Result<String, JsValue>;
    /// Writes a text into a KV namespace, with these options in JSON.
    #[wasm_bindgen(js_name = putText)]
    pub fn put_text(namespace: &Namespace, name: &str, text: &str, options: &str) -> Promise;
    /// What a KV namespace lists, by these options in JSON, as JSON.
    #[wasm_bindgen(js_name = listNames)]
    pub fn list_names(namespace: &Namespace, options: &str) -> Promise;
    #[wasm_bindgen(catch, js_name = makeResponse)]
    fn make_response(
        status: u16,
        kept: Option<&web_sys::Response>,
        lines: &str,
        body: &JsValue,
    ) -> Result<web_sys::Response, JsValue>;
}

/// Headers that are asked for so often that they are read with each request. What the platform
/// says comes first: of a name that is there twice, the first counts.
const USUAL: [&str; 14] = [
    "cf-connecting-ip",
    "x-request-id",
    "traceparent",
    "origin",
    "authorization",
    "content-type",
    "content-length",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "if-range",
    "range",
    "prefer",
    "darkroom-deadline",
];

/// Headers that are read of what the origin or a Durable Object answers.
const ANSWERED: [&str; 9] = [
    "content-type",
    "location",
    "retry-after",
    "etag",
    "preference-applied",
    JOINED_HEADER,
    flights::ROLE,
    flights::FAILED,
    idempotency::HEADER,
];

thread_local! {
    /// Tells the other half once in each instance which headers are read.
    static TOLD: () = read_headers(&USUAL.join("\n"), &ANSWERED.join("\n"));
}

/// Whether these bindings are others than those of the last request in this isolate: an isolate
/// may outlive its Worker's settings and secrets.
pub fn has_new_bindings(env: &Env) -> bool {
    is_new(env)
}

/// A request's line and headers.
pub struct Head {
    text: String,
}

impl Head {
    /// Reads them.
    pub fn of(request: &web_sys::Request) -> Self {
        TOLD.with(|()| ());
        Self {
            text: read_request(request),
        }
    }

    /// The method's own text: the library's enum takes unknown methods for GET.
    pub fn method(&self) -> &str {
        self.text.split('\n').next().unwrap_or_default()
    }

    /// The whole address.
    pub fn url(&self) -> &str {
        self.text.split('\n').nth(1).unwrap_or_default()
    }

    /// A header's value, where it is there; an error where it was not read.
    pub fn header(&self, name: &str) -> Result<Option<&str>, NotRead> {
        let mut lines = self.text.split('\n').skip(2);
        while let (Some(found), Some(value)) = (lines.next(), lines.next()) {
            if found == name {
                return Ok(Some(value));
            }
        }
        if USUAL.contains(&name) {
            Ok(None)
        } else {
            Err(NotRead)
        }
    }
}

/// The header is none of those that are read with each request.
pub struct NotRead;

/// Headers that are to be set, in the form in which they cross.
#[derive(Default)]
pub struct Lines(RefCell<String>);

impl Lines {
    /// Sets one, in place of whatever is there under this name.
    pub fn set(&self, name: &str, value: &str) {
        self.push("", name, value);
    }

    /// Sets one where nothing is there under this name.
    pub fn set_unless_there(&self, name: &str, value: &str) {
        self.push("?", name, value);
    }

    /// Sets one beside what is there under this name.
    pub fn append(&self, name: &str, value: &str) {
        self.push("+", name, value);
    }

    /// Whether one is set under this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.borrow().lines().step_by(2).any(|set| set == name)
    }

    fn push(&self, how: &str, name: &str, value: &str) {
        // Nothing of ours has one: it would be taken for another header.
        if !value.contains('\n') {
            let mut text = self.0.borrow_mut();
            for part in [how, name, "\n", value, "\n"] {
                text.push_str(part);
            }
        }
    }
}

/// The runtime's answer of a status, with the headers of what was kept, if anything was, and these.
pub fn response(
    status: u16,
    kept: Option<&web_sys::Response>,
    headers: [&Lines; 2],
    body: &JsValue,
) -> worker::Result<web_sys::Response> {
    let [first, then] = headers;
    let mut lines = first.0.take();
    lines.push_str(&then.0.borrow());
    Ok(make_response(status, kept, &lines, body)?)
}

/// A request that is about to be sent.
pub struct Outgoing<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its headers.
    pub headers: Lines,
    /// Undefined where there is none.
    pub body: JsValue,
    /// How long the answer may take.
    pub limit: Duration,
}

/// What came back.
pub enum Answered {
    /// An answer, read to its end.
    Whole(Whole),
    /// An answer of which only the beginning was waited for.
    Begun(Response),
    /// Nothing, in the time that there was.
    Late,
}

impl Outgoing<'_> {
    /// Sends it to an address. An answer of the media type `unread` is not read.
    pub async fn send(self, url: &str, unread: &str) -> worker::Result<Answered> {
        TOLD.with(|()| ());
        let (lines, limit) = (self.headers.0.take(), millis(self.limit));
        let answer = send_request(self.method, url, &lines, &self.body, limit, unread);
        answered(answer).await
    }

    /// Sends it to a Durable Object.
    pub async fn send_to(self, namespace: &JsValue, name: &str) -> worker::Result<Answered> {
        TOLD.with(|()| ());
        let (lines, limit) = (self.headers.0.take(), millis(self.limit));
        let answer = send_object(namespace, name, self.method, &lines, &self.body, limit);
        answered(answer).await
    }
}

/// Bytes as the runtime has them: a copy, since it may still read it when this memory has moved.
pub fn bytes(bytes: &[u8]) -> JsValue {
    match bytes {
        [] => JsValue::UNDEFINED,
        bytes => Uint8Array::from(bytes).into(),
    }
}

/// What a Durable Object answers to a text; none where that takes too long.
pub async fn ask(
    namespace: &JsValue,
    name: &str,
    message: &str,
    limit: Duration,
) -> worker::Result<Option<String>> {
    let answer = ask_object(namespace, name, message, millis(limit));
    Ok(JsFuture::from(answer).await?.as_string())
}

async fn answered(promise: Promise) -> worker::Result<Answered> {
    let answer = JsFuture::from(promise).await?;
    if answer.is_null() {
        return Ok(Answered::Late);
    }
    let parts: Array = answer.unchecked_into();
    let (head, body) = (parts.get(0).as_string().unwrap_or_default(), parts.get(1));
    let mut lines = head.split('\n');
    let status = lines.next().unwrap_or_default();
    if status.is_empty() {
        return Ok(Answered::Begun(
            body.unchecked_into::<web_sys::Response>().into(),
        ));
    }
    let headers = Headers::default();
    while let (Some(name), Some(value)) = (lines.next(), lines.next()) {
        headers.append(name.to_owned(), value);
    }
    Ok(Answered::Whole(Whole {
        status: status.parse().unwrap_or_default(),
        headers,
        bytes: body.unchecked_into(),
    }))
}

fn millis(limit: Duration) -> f64 {
    limit.as_millis() as f64
}
