//! What the tests stand on.

pub mod bucket;
pub mod call;
pub mod cdn;
pub mod collector;
pub mod databases;
pub mod engine;
pub mod hang_up;
pub mod moto;
pub mod receiver;
pub mod sse;
pub mod tls;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use darkroom_credentials::Signer;
use darkroom_origin::addresses::Addresses;
use darkroom_origin::cloudfront::CloudFront;
use darkroom_origin::housekeeping::KeeperOptions;
use darkroom_origin::outbound::{Outbound, SystemLookup};
use darkroom_origin::service::{Service, ServiceOptions};
use darkroom_origin::storage::{Folder, Storage};
use darkroom_origin::traces::Traces;
use darkroom_origin::webhooks::SealingKeys;
use darkroom_shared::outside::Reach;
use darkroom_shared::signature::Secret;
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt as _;

use call::{Answer, Call};
pub use databases::{database, on_postgres};
use engine::StubEngine;
use sse::Events;

/// Longer than anything here takes, so that a test that hangs fails instead.
pub const LIMIT: Duration = Duration::from_secs(30);

/// A running origin.
pub struct Origin {
    pub service: Service,
    router: Router,
    /// Held for its end: the folder goes with the test.
    folder: Option<TempDir>,
}

/// What an origin is started with.
pub struct Setup {
    pub engine: StubEngine,
    pub queue_limit: u32,
    pub account_queue_share: u32,
    pub account_concurrency: u32,
    pub checkpoint_every: Option<Duration>,
    pub signer: Option<Arc<Signer>>,
    pub storage: Option<Storage>,
    pub keeping: KeeperOptions,
    pub traces: Traces,
    pub cloudfront: Option<CloudFront>,
    pub outbound: Outbound,
    pub webhook_keys: SealingKeys,
    /// The folder whose database it shares, where not its own.
    pub shares: Option<PathBuf>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            engine: StubEngine::default(),
            queue_limit: 100,
            account_queue_share: 100,
            account_concurrency: 0,
            checkpoint_every: None,
            signer: None,
            storage: None,
            keeping: KeeperOptions::default(),
            traces: Traces::default(),
            cloudfront: None,
            outbound: outbound(),
            webhook_keys: SealingKeys::default(),
            shares: None,
        }
    }
}

/// Reaches servers of this machine at 127.0.0.1, and no others but public ones.
pub fn outbound() -> Outbound {
    let reach = Reach::parse("127.0.0.1").expect("a network");
    Outbound::new(reach, SystemLookup).expect("clients")
}

pub fn secrets() -> Vec<Secret> {
    Secret::parse_list("test:0123456789abcdef0123456789abcdef").expect("secrets")
}

/// Returns when something has happened.
pub async fn until(mut happened: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !happened().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, waiting)
        .await
        .expect("it happens in time");
}

impl Origin {
    /// An origin with a folder of its own.
    pub async fn start(setup: Setup) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let mut origin = Self::start_in(folder.path(), setup).await;
        origin.folder = Some(folder);
        origin
    }

    /// An origin with the stub engine as it is.
    pub async fn with(engine: StubEngine) -> Self {
        Self::start(Setup {
            engine,
            ..Setup::default()
        })
        .await
    }

    /// An origin over a folder that another may have used.
    pub async fn start_in(folder: &Path, setup: Setup) -> Self {
        let storage = setup
            .storage
            .unwrap_or_else(|| Storage::Folder(Folder::new(folder.join("objects"))));
        let options = ServiceOptions {
            secrets: secrets(),
            addresses: Addresses::edge("http://edge.test"),
            queue_limit: setup.queue_limit,
            account_queue_share: setup.account_queue_share,
            account_concurrency: setup.account_concurrency,
            checkpoint_every: setup.checkpoint_every,
            signer: setup.signer,
            database: databases::address(setup.shares.as_deref().unwrap_or(folder)).await,
            storage,
            keeping: setup.keeping,
            cloudfront: setup.cloudfront,
            data_dir: folder.to_owned(),
            outbound: setup.outbound,
            webhook_keys: setup.webhook_keys,
            traces: setup.traces,
        };
        let engine = setup.engine;
        let service = Service::start(options, move || Ok(Box::new(engine)))
            .await
            .expect("started");
        service.engine_ready().await.expect("engine");
        Self {
            router: service.router(),
            service,
            folder: None,
        }
    }

    /// Sends a request as it is.
    pub async fn send(&self, request: axum::extract::Request) -> Answer {
        let response = self.router.clone().oneshot(request);
        let response = tokio::time::timeout(LIMIT, response)
            .await
            .expect("answered in time")
            .expect("infallible");
        Answer::new(response)
    }

    /// Signs and sends a request; the whole answer.
    pub async fn call(&self, call: Call) -> Answer {
        self.send(call.signed()).await
    }

    /// Hands in a job without waiting; its id.
    pub async fn submit(&self, body: &Value) -> String {
        let call = Call::generate(body).header("prefer", "respond-async");
        // On a busy machine a job may have ended by then: its answer, good or bad, has it too.
        let json = self.call(call).await.json().await;
        json["job"]["id"].as_str().expect("id").to_owned()
    }

    /// A job as it is now.
    pub async fn job(&self, id: &str) -> Value {
        let answer = self.call(Call::get(&format!("/api/jobs/{id}"))).await;
        assert_eq!(answer.status, StatusCode::OK);
        answer.json().await
    }

    /// The events of a job, from the beginning.
    pub async fn events(&self, id: &str) -> Events {
        let answer = self
            .call(Call::get(&format!("/api/jobs/{id}/events")))
            .await;
        assert_eq!(answer.status, StatusCode::OK);
        answer.events()
    }

    /// Waits for a job's end; the job as it is then.
    pub async fn finished(&self, id: &str) -> Value {
        self.events(id).await.rest().await;
        self.job(id).await
    }

    /// Ends the origin; what does not finish at once goes back to the queue.
    pub async fn stop(self) {
        self.service
            .drain(Duration::from_millis(100))
            .await
            .expect("drained");
    }
}
