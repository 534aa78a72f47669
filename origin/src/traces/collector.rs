//! How spans get to the collector: by the HTTP client that the service has anyway.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use reqwest::Client;
use reqwest::redirect::Policy;
use tokio::runtime::Handle;

use crate::cause::chain;

/// How long a collector may take, as the specification has it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client for `OpenTelemetry`'s own thread, which has no runtime: the service's does the work.
#[derive(Debug)]
pub(super) struct Collector {
    http: Client,
    runtime: Handle,
    /// So that a collector that is away is a line in the log, and not one every few seconds.
    is_away: AtomicBool,
}

impl Collector {
    /// A client on a runtime.
    pub fn new(runtime: Handle) -> Result<Self, reqwest::Error> {
        // An error says that this process has chosen before, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        Ok(Self {
            http: Client::builder()
                .redirect(Policy::none())
                .timeout(PATIENCE)
                .build()?,
            runtime,
            is_away: AtomicBool::new(false),
        })
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let http = self.http.clone();
        // Begun there, too: its timers belong to a runtime.
        let sent = self
            .runtime
            .spawn(async move { http.execute(request).await });
        // An address may hold a password.
        let sent = match sent.await {
            Ok(sent) => sent.map_err(|error| HttpError::from(error.without_url())),
            Err(error) => Err(error.into()),
        };
        let outcome = match &sent {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(answer.status().to_string()),
            Err(error) => Err(chain(&**error)),
        };
        self.log(outcome);
        let answer = sent?;
        // What it says beside its status is of no use here, and is not read.
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        Ok(response)
    }

    fn log(&self, outcome: Result<(), String>) {
        let was_away = self.is_away.swap(outcome.is_err(), Ordering::Relaxed);
        match outcome {
            Err(error) if !was_away => tracing::warn!(error, "the collector takes no traces"),
            Ok(()) if was_away => tracing::info!("the collector takes traces again"),
            Ok(()) | Err(_) => {}
        }
    }
}

impl HttpClient for Collector {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> BoxFuture<'b, Result<Response<Bytes>, HttpError>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(self.send(request))
    }
}
