//! What is noted of a request while it is answered, and told when it is: its place in a trace,
//! how long it took, and one line of log without words or secrets of its caller.

use std::cell::{Cell, OnceCell};

use darkroom_shared::trace::TraceParent;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use worker::{AnalyticsEngineDataPointBuilder, Env, console_log};

use crate::border::Lines;
use crate::call::now;
use crate::reply::Reply;
use crate::{bindings, log, random};

/// A request as an operator sees it.
pub struct Observed {
    method: String,
    request_id: String,
    trace: TraceParent,
    begun: i64,
    route: Cell<Option<&'static str>>,
    account: OnceCell<String>,
    origin_millis: Cell<Option<i64>>,
    cache: Cell<Option<&'static str>>,
}

impl Observed {
    /// Begins to look, and goes on with the trace that the caller is in.
    pub fn begin(method: String, request_id: String, traceparent: Option<&str>) -> Self {
        let span_id = random::span_id();
        let trace = match traceparent.and_then(TraceParent::parse) {
            Some(parent) => parent.child(span_id),
            None => TraceParent::begin(random::trace_id(), span_id),
        };
        Self {
            method,
            request_id,
            trace,
            begun: now(),
            route: Cell::new(None),
            account: OnceCell::new(),
            origin_millis: Cell::new(None),
            cache: Cell::new(None),
        }
    }

    /// The path's pattern: unlike the path, it holds nobody's ids.
    pub fn took_route(&self, pattern: &'static str) {
        self.route.set(Some(pattern));
    }

    /// Who calls. Only a digest is noted: it tells one account's requests from another's, and
    /// not whose they are.
    pub fn called_by(&self, account: &str) {
        let digest = Sha256::digest(account.as_bytes());
        let short = digest.iter().take(8).copied().collect::<Vec<_>>();
        self.account.get_or_init(|| hex::encode(short));
    }

    /// The origin was asked at this moment, and has answered or failed to. A request may ask
    /// more than once.
    pub fn asked_origin_since(&self, begun: i64) {
        let before = self.origin_millis.get().unwrap_or_default();
        let this = now().saturating_sub(begun);
        self.origin_millis.set(Some(before.saturating_add(this)));
    }

    /// The trace, with the edge's own span in it: the parent of whatever is asked on the way.
    pub fn trace(&self) -> TraceParent {
        self.trace
    }

    /// The answer comes out of a cache, or passed it by: its `Cache-Status`.
    pub fn cached(&self, status: &'static str) {
        self.cache.set(Some(status));
    }

    /// Tells of the answer: in its headers, in the log, and in a data point where a dataset is
    /// bound.
    pub fn answered(&self, reply: &Reply, added: &Lines, env: &Env) {
        let answer = Answered {
            status: reply.status,
            millis: now().saturating_sub(self.begun),
            cache: match self.cache.get() {
                Some(status) => Some(status.to_owned()),
                None => reply.headers.get("cache-status"),
            },
        };
        if let Some(status) = self.cache.get() {
            added.set("cache-status", status);
        }
        let timing = match self.origin_millis.get() {
            Some(origin) => format!("edge;dur={}, origin;dur={origin}", answer.millis),
            None => format!("edge;dur={}", answer.millis),
        };
        added.set("server-timing", &timing);
        console_log!("{}", self.line(&answer));
        if let Some(dataset) = bindings::analytics(env)
            && let Err(error) = self.data_point(&answer).write_to(&dataset)
        {
            log::warn(&self.request_id, format_args!("no data point: {error}"));
        }
    }

    fn line(&self, answer: &Answered) -> String {
        let line = Line {
            level: if answer.status < 500 { "info" } else { "error" },
            message: "answered",
            method: &self.method,
            route: self.route.get(),
            status: answer.status,
            milliseconds: answer.millis,
            origin_milliseconds: self.origin_millis.get(),
            request_id: &self.request_id,
            trace_id: self.trace.trace_id(),
            span_id: self.trace.span_id(),
            account: self.account.get().map(String::as_str),
            cache: answer.cache.as_deref(),
        };
        serde_json::to_string(&line).unwrap_or_default()
    }

    /// Its places mean what `wrangler.toml` says.
    fn data_point(&self, answer: &Answered) -> AnalyticsEngineDataPointBuilder {
        let route = self.route.get().unwrap_or_default();
        let account = self.account.get().map(String::as_str).unwrap_or_default();
        let cache = answer.cache.as_deref().unwrap_or_default();
        let origin_millis = self.origin_millis.get().unwrap_or_default();
        AnalyticsEngineDataPointBuilder::new()
            .indexes([route])
            .blobs([&self.method, route, account, cache])
            .doubles([
                f64::from(answer.status),
                answer.millis as f64,
                origin_millis as f64,
            ])
    }
}

/// What is seen of an answer.
struct Answered {
    status: u16,
    millis: i64,
    cache: Option<String>,
}

/// A line of the log.
#[derive(Serialize)]
struct Line<'a> {
    level: &'static str,
    message: &'static str,
    method: &'a str,
    route: Option<&'static str>,
    status: u16,
    milliseconds: i64,
    origin_milliseconds: Option<i64>,
    request_id: &'a str,
    trace_id: String,
    span_id: String,
    account: Option<&'a str>,
    cache: Option<&'a str>,
}
