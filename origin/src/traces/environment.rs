//! The standard variables, which say where traces go: `OpenTelemetry`'s, not settings of ours.

use std::sync::Arc;

use opentelemetry::Key;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{
    ExporterBuildError, OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL,
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_PROTOCOL, SpanExporter,
    WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;

use super::{Collector, Exported, Traces};

/// What the service is called where nobody says.
const SERVICE_NAME: &str = "darkroom-origin";
/// The one protocol that is spoken.
const PROTOCOL: &str = "http/protobuf";

/// Why traces cannot be sent where they should go.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// A protocol that is not spoken.
    #[error("{variable} is `{found}`: write `{PROTOCOL}`, which is the one that is spoken")]
    Protocol {
        /// The variable.
        variable: &'static str,
        /// Its value.
        found: String,
    },
    /// What the exporter reads by itself.
    #[error("traces cannot be sent")]
    Exporter(#[from] ExporterBuildError),
    /// The client.
    #[error("the system's certificates cannot be read")]
    Client(#[from] reqwest::Error),
}

impl Traces {
    /// Sends traces where the standard variables say, and makes none where they name no collector:
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`. The exporter and
    /// its batches read the rest of them. To be called within the runtime that shall send.
    ///
    /// # Errors
    /// [`TracesError`].
    pub fn from_environment() -> Result<Self, TracesError> {
        let is =
            |name, value: &str| variable(name).is_some_and(|is| is.eq_ignore_ascii_case(value));
        let endpoints = [
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
            OTEL_EXPORTER_OTLP_ENDPOINT,
        ];
        if is("OTEL_SDK_DISABLED", "true")
            || is("OTEL_TRACES_EXPORTER", "none")
            || endpoints.into_iter().all(|name| variable(name).is_none())
        {
            return Ok(Self::default());
        }
        let protocols = [
            OTEL_EXPORTER_OTLP_TRACES_PROTOCOL,
            OTEL_EXPORTER_OTLP_PROTOCOL,
        ];
        for name in protocols {
            if let Some(found) = variable(name).filter(|found| found != PROTOCOL) {
                return Err(TracesError::Protocol {
                    variable: name,
                    found,
                });
            }
        }
        Self::exported(None)
    }

    /// Sends traces to an address, such as `http://127.0.0.1:4318/v1/traces`. To be called
    /// within the runtime that shall send.
    ///
    /// # Errors
    /// [`TracesError`].
    pub fn to(address: &str) -> Result<Self, TracesError> {
        Self::exported(Some(address))
    }

    fn exported(address: Option<&str>) -> Result<Self, TracesError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::new(Handle::current())?);
        let exporter = match address {
            Some(address) => exporter.with_endpoint(address),
            None => exporter,
        };
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter.build()?)
            .with_resource(resource())
            .build();
        Ok(Self(Some(Arc::new(Exported {
            tracer: provider.tracer("darkroom"),
            provider,
        }))))
    }
}

/// A variable's value; an empty one is none.
fn variable(name: &str) -> Option<String> {
    let value = std::env::var_os(name)?.to_string_lossy().into_owned();
    (!value.is_empty()).then_some(value)
}

/// Who speaks: what the variables say, and else this program.
fn resource() -> Resource {
    let said = Resource::builder().build();
    let name = said.get(&Key::from_static_str("service.name"));
    let is_named = name.is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let resource = Resource::builder();
    let resource = if is_named {
        resource
    } else {
        resource.with_service_name(SERVICE_NAME)
    };
    let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    resource.with_attribute(version).build()
}
