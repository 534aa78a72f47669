//! Where a job's time goes, told to a collector as the spans of one trace (`OpenTelemetry`).
//!
//! The trace begins at the edge, or here where no edge has said one. A job keeps its place in it in
//! its own row, so that whoever makes it goes on with it, whenever and in whichever process. Spans
//! are made where somebody says what has happened ([`Span`]), gathered by `OpenTelemetry`'s own
//! batches, and sent through `collector`; where no collector is named ([`Traces::from_environment`])
//! none is made, and only the place is handed on.
//!
//! Names and attributes are words of the code, ids and numbers: never what callers wrote.

mod collector;
mod environment;
mod span;

use std::sync::Arc;
use std::time::Duration;

use darkroom_shared::trace::TraceParent;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

pub use environment::TracesError;
pub use span::Span;

use collector::Collector;

/// How long what is left may take to be sent when the service ends.
const LAST: Duration = Duration::from_secs(3);

/// Where spans go, if anywhere. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Traces(Option<Arc<Exported>>);

#[derive(Debug)]
struct Exported {
    tracer: SdkTracer,
    provider: SdkTracerProvider,
}

impl Traces {
    /// Begins a span that answers somebody's request, under the place that they named. It is
    /// renamed when its route is known.
    #[must_use]
    pub fn request(&self, parent: Option<TraceParent>) -> Span {
        self.at(parent).answer("request")
    }

    /// A place that an earlier span had, for spans of today.
    #[must_use]
    pub fn at(&self, place: Option<TraceParent>) -> Span {
        Span::before(self.tracer(), place)
    }

    /// Sends what has not been sent, for a few seconds at most, and takes no more.
    pub async fn flush(&self) {
        let Some(exported) = self.0.clone() else {
            return;
        };
        let flush = move || exported.provider.shutdown_with_timeout(LAST);
        match tokio::task::spawn_blocking(flush).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last traces were not sent"),
            Err(error) => tracing::warn!(%error, "the last traces were not sent"),
        }
    }

    fn tracer(&self) -> Option<SdkTracer> {
        self.0.as_ref().map(|exported| exported.tracer.clone())
    }
}
