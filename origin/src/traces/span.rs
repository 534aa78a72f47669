//! One span, or what stands for it where none is made.

use std::time::{Instant, SystemTime};

use darkroom_shared::trace::TraceParent;
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    Tracer as _,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::trace::SdkTracer;

/// A span, which ends with its last clone, or a place in a trace under which others begin. Where no
/// spans are made it hands on the place that it was given, and does nothing else.
#[derive(Clone, Debug, Default)]
pub struct Span {
    open: Option<(SdkTracer, Context)>,
    given: Option<TraceParent>,
}

impl Span {
    /// No span of this process: the place of an earlier one.
    pub(super) fn before(tracer: Option<SdkTracer>, place: Option<TraceParent>) -> Self {
        let context = |place| Context::new().with_remote_span_context(remote(place));
        Self {
            open: tracer.map(|tracer| (tracer, place.map_or_else(Context::new, context))),
            given: place,
        }
    }

    /// Begins a span under this one.
    #[must_use]
    pub fn child(&self, name: &'static str) -> Self {
        self.of_kind(SpanKind::Internal, name, SystemTime::now())
    }

    /// Begins a span under this one that answers a request.
    #[must_use]
    pub fn answer(&self, name: &'static str) -> Self {
        self.of_kind(SpanKind::Server, name, SystemTime::now())
    }

    /// Begins a span under this one that asks another server.
    #[must_use]
    pub fn ask(&self, name: &'static str) -> Self {
        self.of_kind(SpanKind::Client, name, SystemTime::now())
    }

    /// Begins a span under this one, which had begun before anybody could say so.
    #[must_use]
    pub fn child_since(&self, name: &'static str, since: SystemTime) -> Self {
        self.of_kind(SpanKind::Internal, name, since)
    }

    /// Tells of something under this span that is over.
    pub fn past(&self, name: &'static str, begun: Instant, ended: Instant) {
        if self.open.is_some() {
            let moment = |at: Instant| SystemTime::now() - at.elapsed();
            self.child_since(name, moment(begun)).end_at(moment(ended));
        }
    }

    /// Where others go on: to be stored, or sent on in a `traceparent` header.
    #[must_use]
    pub fn place(&self) -> Option<TraceParent> {
        let Some((_, context)) = &self.open else {
            return self.given;
        };
        let span = context.span();
        let context = span.span_context();
        TraceParent::parse(&format!(
            "00-{}-{}-{:02x}",
            context.trace_id(),
            context.span_id(),
            context.trace_flags()
        ))
    }

    /// Says something of it.
    pub fn set(&self, key: &'static str, value: impl Into<Value>) {
        if let Some((_, context)) = &self.open {
            context.span().set_attribute(KeyValue::new(key, value));
        }
    }

    /// Gives it the name that it turned out to have.
    pub fn rename(&self, name: String) {
        if let Some((_, context)) = &self.open {
            context.span().update_name(name);
        }
    }

    /// Says that it failed, by a code.
    pub fn fail(&self, code: &'static str) {
        self.set("error.type", code);
        if let Some((_, context)) = &self.open {
            context.span().set_status(Status::error(code));
        }
    }

    /// Ends it at a moment.
    pub fn end_at(self, moment: SystemTime) {
        if let Some((_, context)) = &self.open {
            context.span().end_with_timestamp(moment);
        }
    }

    fn of_kind(&self, kind: SpanKind, name: &'static str, since: SystemTime) -> Self {
        let open = self.open.as_ref().map(|(tracer, parent)| {
            let builder = tracer.span_builder(name).with_kind(kind);
            let span = builder
                .with_start_time(since)
                .start_with_context(tracer, parent);
            (tracer.clone(), Context::new().with_span(span))
        });
        Self {
            open,
            given: self.given,
        }
    }
}

fn remote(place: TraceParent) -> SpanContext {
    // Both are valid hex: a place has no others.
    let trace = TraceId::from_hex(&place.trace_id()).unwrap_or(TraceId::INVALID);
    let span = SpanId::from_hex(&place.span_id()).unwrap_or(SpanId::INVALID);
    let flags = TraceFlags::default().with_sampled(place.is_sampled());
    SpanContext::new(trace, span, flags, true, TraceState::NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_collector_the_place_is_handed_on() {
        let place = TraceParent::begin(1, 2);
        let span = Span::before(None, Some(place));
        let child = span.child("a");
        child.set("key", 1);
        child.fail("code");
        assert_eq!(child.place(), Some(place));
        assert_eq!(Span::default().child("b").place(), None);
    }
}
