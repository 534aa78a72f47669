//! What handlers work with.

use std::sync::Arc;

use darkroom_credentials::Signer;
use darkroom_shared::model::Model;
use darkroom_shared::problem::{Code, Problem};
use darkroom_shared::signature::Secret;
use tokio::sync::watch;

use super::{ApiError, Tellers};
use crate::addresses::Addresses;
use crate::database::Database;
use crate::housekeeping::Purge;
use crate::jobs::{EngineState, JobQueue, Phase};
use crate::metrics::Metrics;
use crate::outbound::Outbound;
use crate::storage::Storage;
use crate::traces::Traces;
use crate::vital::Vital;

/// What handlers work with. Clones share everything.
#[derive(Clone, Debug)]
pub struct App {
    /// The secrets shared with the edge.
    pub secrets: Arc<[Secret]>,
    /// For nonces, readiness and events.
    pub database: Database,
    /// Where pictures are kept.
    pub storage: Arc<Storage>,
    /// What takes deleted pictures out of it.
    pub purge: Purge,
    /// Where pictures are fetched.
    pub addresses: Addresses,
    /// How the engine is.
    pub engine: watch::Receiver<EngineState>,
    /// Whether the service is about to end.
    pub phases: watch::Receiver<Phase>,
    /// What watches over the service's tasks.
    pub vital: Vital,
    /// What signs pictures, where they are signed.
    pub signer: Option<Arc<Signer>>,
    /// Where jobs are handed in.
    pub queue: JobQueue,
    /// What reads jobs' events for those who watch.
    pub tellers: Tellers,
    /// How servers that callers name are reached.
    pub outbound: Outbound,
    /// What counts requests.
    pub metrics: Metrics,
    /// Where their spans go.
    pub traces: Traces,
}

impl App {
    /// The model that is loaded.
    ///
    /// # Errors
    /// [`Code::Unavailable`] while there is none.
    pub fn model(&self) -> Result<Arc<Model>, ApiError> {
        match &*self.engine.borrow() {
            EngineState::Ready(model) => Ok(Arc::clone(model)),
            EngineState::Loading => Err(unavailable("the model is still being loaded")),
            EngineState::Failed(_) => Err(unavailable("the engine has failed")),
        }
    }
}

fn unavailable(detail: &str) -> ApiError {
    Problem::new(Code::Unavailable, detail).into()
}
