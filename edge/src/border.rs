//! Where wasm meets the runtime, on every request's way. A text that crosses is copied and decoded,
//! which costs more than most of what is done with it: so what a request is crosses in one text,
//! and what an answer has beside its body in another.

use std::cell::RefCell;

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::js_sys::{Function, Object, Promise, Uint8Array};
use worker::{Env, Response, ResponseBody, worker_sys};

use crate::kv::Namespace;

#[wasm_bindgen(module = "/src/border.js")]
extern "C" {
    #[wasm_bindgen(js_name = readHeaders)]
    fn read_headers(names: &str);
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
    /// Says something to a Durable Object, and reads what it answers, both as texts.
    #[wasm_bindgen(js_name = askObject)]
    pub fn ask_object(object: &Object, message: &str) -> Promise;
    /// Has a call go on for a while where its caller hangs up, and then says something to a Durable
    /// Object, in this header (name and value, a line each). What is given back takes that back.
    #[wasm_bindgen(js_name = whenLeft)]
    pub fn when_left(
        request: &web_sys::Request,
        context: &worker_sys::Context,
        object: &Object,
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
        headers: &web_sys::Headers,
        added: &str,
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

thread_local! {
    /// Tells the other half once in each instance which headers are usual.
    static TOLD: () = read_headers(&USUAL.join("\n"));
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

/// Headers that an answer is given on its way out.
#[derive(Default)]
pub struct Added(RefCell<String>);

impl Added {
    /// Adds one, in place of whatever the answer says under this name.
    pub fn set(&self, name: &str, value: &str) {
        self.push("", name, value);
    }

    /// Adds one where the answer says nothing under this name.
    pub fn set_unless_there(&self, name: &str, value: &str) {
        self.push("?", name, value);
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

    /// The answer as it leaves.
    pub fn close(&self, response: Response) -> worker::Result<web_sys::Response> {
        let status = response.status_code();
        // The very headers, not a copy.
        let headers = response.headers().0.clone();
        let body = match response.into_parts().1 {
            ResponseBody::Empty => JsValue::NULL,
            ResponseBody::Stream(stream) => stream.into(),
            // A copy: the runtime may still read it when this memory has moved.
            ResponseBody::Body(bytes) => Uint8Array::from(bytes.as_slice()).into(),
        };
        Ok(make_response(status, &headers, &self.0.borrow(), &body)?)
    }
}
