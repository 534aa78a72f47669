//! A collector of traces, which reads what it is sent.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use super::receiver::Receiver;

/// A server that takes OTLP over HTTP.
pub struct Collector(Receiver);

/// A span as it arrived.
#[derive(Clone, Debug)]
pub struct Told {
    pub name: String,
    pub trace: String,
    pub id: String,
    /// Empty where it begins its trace.
    pub parent: String,
    /// `name=value`, one a line, with the error's code where it failed.
    pub attributes: String,
}

impl Collector {
    pub async fn start() -> Self {
        Self(Receiver::start().await)
    }

    /// Where traces are sent.
    pub fn url(&self) -> String {
        format!("http://{}/v1/traces", self.0.address)
    }

    /// What it got of a trace.
    pub fn spans(&self, trace: &str) -> Vec<Told> {
        let mut spans = self.all();
        spans.retain(|span| span.trace == trace);
        spans
    }

    /// All that it got.
    pub fn all(&self) -> Vec<Told> {
        let asked = self.0.asked();
        let requests = asked.iter().map(|asked| {
            assert_eq!(asked.header("content-type"), "application/x-protobuf");
            ExportTraceServiceRequest::decode(asked.body.clone()).expect("a request")
        });
        let resources = requests.flat_map(|request| request.resource_spans);
        let spans = resources.flat_map(|spans| {
            let resource = spans.resource.expect("a resource");
            let said = written(&resource.attributes);
            assert!(said.contains("service.name=darkroom-origin\n"), "{said}");
            spans.scope_spans.into_iter().flat_map(|scope| scope.spans)
        });
        spans.map(told).collect()
    }

    /// Whether these words were sent, in whatever place.
    pub fn has_read(&self, words: &str) -> bool {
        let has = |body: &[u8]| {
            body.windows(words.len())
                .any(|part| part == words.as_bytes())
        };
        self.0.asked().iter().any(|asked| has(&asked.body))
    }
}

fn told(span: Span) -> Told {
    assert!(
        span.end_time_unix_nano >= span.start_time_unix_nano,
        "{span:?}"
    );
    Told {
        trace: hex::encode(span.trace_id),
        id: hex::encode(span.span_id),
        parent: hex::encode(span.parent_span_id),
        attributes: written(&span.attributes),
        name: span.name,
    }
}

fn written(attributes: &[KeyValue]) -> String {
    let value = |attribute: &KeyValue| match attribute.value.clone()?.value? {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    };
    let lines: Vec<_> = attributes
        .iter()
        .map(|attribute| {
            format!(
                "{}={}\n",
                attribute.key,
                value(attribute).unwrap_or_default()
            )
        })
        .collect();
    lines.concat()
}
