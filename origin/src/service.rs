//! The service put together: what begins with it, and how it ends.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use darkroom_credentials::Signer;
use darkroom_shared::signature::Secret;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::addresses::Addresses;
use crate::admin::{self, Admin};
use crate::cause::chain;
use crate::cloudfront::CloudFront;
use crate::database::{Address, Database, DatabaseError, Room};
use crate::engine::Engine;
use crate::housekeeping::{Invalidator, Keeper, KeeperOptions, Purge, VariantMaker};
use crate::http::{self, App, Tellers};
use crate::jobs::{
    Changes, Checkpoints, Claimer, Deadlines, Delivery, Endings, EngineFailure, EngineState,
    Following, Heartbeat, JobQueue, JobQueueOptions, Pace, Phase, Places, Progress, Rounds,
    Running, Worker,
};
use crate::machine::{self, MachineError};
use crate::metrics::Metrics;
use crate::outbound::Outbound;
use crate::spool::{Spool, SpoolError};
use crate::storage::Storage;
use crate::traces::Traces;
use crate::vital::Vital;
use crate::webhooks::{Deliverer, SealingKeys};

/// How long a step may go on after the service has stopped: a process is often killed half a
/// minute after it was told to end.
const LAST_STEP: Duration = Duration::from_secs(10);
/// How often what nobody needs any more is forgotten.
const HOUSEKEEPING: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

/// What a service is made of.
#[derive(Debug)]
pub struct ServiceOptions {
    /// The secrets shared with the edge.
    pub secrets: Vec<Secret>,
    /// Where pictures are fetched.
    pub addresses: Addresses,
    /// Jobs that may wait.
    pub queue_limit: u32,
    /// Percent of them that may be one account's.
    pub account_queue_share: u32,
    /// Jobs that are made at one moment for one account; 0 is no limit.
    pub account_concurrency: u32,
    /// How much work of a run may be lost; `None` where only a service that ends in order saves runs.
    pub checkpoint_every: Option<Duration>,
    /// Signs the files of recipes that say so.
    pub signer: Option<Arc<Signer>>,
    /// Where jobs are recorded.
    pub database: Address,
    /// Where pictures are kept.
    pub storage: Storage,
    /// How long, and what is made of them.
    pub keeping: KeeperOptions,
    /// What delivers them, where it is to be told of deletions.
    pub cloudfront: Option<CloudFront>,
    /// The folder of this service alone, where pictures wait for the store.
    pub data_dir: PathBuf,
    /// How servers that callers name are reached.
    pub outbound: Outbound,
    /// What webhooks' signing secrets are sealed with in the database.
    pub webhook_keys: SealingKeys,
    /// Where spans go.
    pub traces: Traces,
}

/// A running service: its engine's thread, its tasks, and its router.
#[derive(Debug)]
pub struct Service {
    app: App,
    phases: watch::Sender<Phase>,
    machine: String,
    database: Database,
    delivery: Arc<Delivery>,
    worker_ended: oneshot::Receiver<()>,
    webhooks: JoinHandle<()>,
}

/// Why a service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The machine's id.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// The spool.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The engine's thread.
    #[error("the engine's thread cannot be started")]
    Thread(#[from] std::io::Error),
}

impl Service {
    /// Opens the database, returns to the queue what a process here before this one left running,
    /// and starts the engine's thread with what `load` loads. The engine may still be loading when
    /// this returns.
    ///
    /// # Errors
    /// [`StartError`].
    #[expect(
        clippy::too_many_lines,
        reason = "what hangs together is seen together"
    )]
    pub async fn start(
        options: ServiceOptions,
        load: impl FnOnce() -> Result<Box<dyn Engine>, EngineFailure> + Send + 'static,
    ) -> Result<Self, StartError> {
        let database = Database::open(&options.database).await?;
        let database = database.sealing_with(options.webhook_keys);
        let machine = machine::id(&options.data_dir)?;
        let spool = Spool::open(&options.data_dir.join("spool"))?;
        let released = database.release(&machine, database.now().await?).await?;
        if released > 0 {
            tracing::info!(jobs = released, "an earlier process here has left jobs");
        }
        sweep(&spool, &database).await?;

        let phases = watch::Sender::new(Phase::default());
        let engine = watch::Sender::new(EngineState::Loading);
        let changes = Changes::default();
        let running = Running::default();
        let pace = Arc::new(Pace::default());
        let wake = Arc::new(Notify::new());
        let metrics = Metrics::default();
        let vital = Vital::new(metrics.tasks.clone());
        let storage = Arc::new(options.storage);
        let endings = Endings {
            database: database.clone(),
            changes: changes.clone(),
            running: running.clone(),
            progress: Progress::start(database.clone(), changes.clone(), running.clone(), &vital),
            phases: phases.subscribe(),
            metrics: metrics.clone(),
            wake: Arc::clone(&wake),
        };
        let heartbeat = Heartbeat {
            database: database.clone(),
            running: running.clone(),
            changes: changes.clone(),
            wake: Arc::clone(&wake),
        };
        let following = Following {
            database: database.clone(),
            running: running.clone(),
            changes: changes.clone(),
            wake: Arc::clone(&wake),
        };
        let deadlines = Deadlines {
            database: database.clone(),
            running: running.clone(),
            changes: changes.clone(),
            metrics: metrics.jobs.clone(),
            wake: Arc::clone(&wake),
        };
        let delivery = Delivery::new(
            endings.clone(),
            Arc::clone(&storage),
            spool.clone(),
            options.signer.clone(),
        );
        let delivery = Arc::new(delivery);
        let checkpoints = Checkpoints::start(
            database.clone(),
            metrics.jobs.clone(),
            options.checkpoint_every,
            &vital,
        );
        let purge = Purge {
            database: database.clone(),
            storage: Arc::clone(&storage),
            restorable_for: DAY * options.keeping.restore_days,
        };
        let variants = VariantMaker {
            database: database.clone(),
            storage: Arc::clone(&storage),
            widths: options.keeping.variant_widths.clone(),
            formats: options.keeping.variant_formats.clone(),
        };
        let invalidator = Invalidator {
            database: database.clone(),
            cloudfront: options.cloudfront.map(Arc::new),
            metrics: metrics.invalidations.clone(),
        };
        let keeper = Keeper::new(purge.clone(), options.keeping);
        let deliverer = Deliverer {
            database: database.clone(),
            addresses: options.addresses.clone(),
            outbound: options.outbound.clone(),
            traces: options.traces.clone(),
        };
        let room = Room::shared(options.queue_limit, options.account_queue_share);
        let app = App {
            secrets: options.secrets.into(),
            database: database.clone(),
            storage,
            purge,
            addresses: options.addresses.clone(),
            engine: engine.subscribe(),
            phases: phases.subscribe(),
            vital: vital.clone(),
            outbound: options.outbound,
            signer: options.signer,
            queue: JobQueue::new(JobQueueOptions {
                database: database.clone(),
                addresses: options.addresses,
                places: Places::new(database.clone(), room),
                changes,
                running,
                pace: Arc::clone(&pace),
                wake: Arc::clone(&wake),
                phases: phases.subscribe(),
                metrics: metrics.clone(),
            }),
            tellers: Tellers::default(),
            metrics,
            traces: options.traces.clone(),
        };
        let worker = Worker {
            claimer: Claimer {
                machine: machine.clone(),
                account_limit: options.account_concurrency,
                endings: endings.clone(),
                wake,
                phases: phases.subscribe(),
                runtime: Handle::current(),
                traces: options.traces,
            },
            checkpoints,
            endings,
            delivery: Arc::clone(&delivery),
            pace,
            phases: phases.subscribe(),
            state: engine,
            runtime: Handle::current(),
        };
        let worker_ended = worker.start(load)?;
        vital.spawn("sealing", seal(database.clone()));
        vital.spawn("heartbeat", heartbeat.keep(phases.subscribe()));
        vital.spawn("following", following.keep(phases.subscribe()));
        vital.spawn("variants", variants.keep(phases.subscribe()));
        vital.spawn("invalidator", invalidator.keep(phases.subscribe()));
        vital.spawn("keeper", keeper.keep(phases.subscribe()));
        let webhooks = vital.spawn("webhooks", deliverer.keep(phases.subscribe()));
        vital.spawn("deadlines", deadlines.keep(phases.subscribe()));
        vital.spawn(
            "housekeeping",
            keep_house(database.clone(), spool, phases.subscribe()),
        );
        Ok(Self {
            app,
            phases,
            machine,
            database,
            delivery,
            worker_ended,
            webhooks,
        })
    }

    /// Every route, ready to be served or called.
    pub fn router(&self) -> Router {
        http::router(self.app.clone())
    }

    /// The operator's routes, which ask nobody who they are.
    pub fn admin_router(&self) -> Router {
        admin::router(Admin {
            database: self.database.clone(),
            metrics: self.app.metrics.clone(),
        })
    }

    /// Returns once the engine is ready.
    ///
    /// # Errors
    /// What kept it from loading.
    pub async fn engine_ready(&self) -> Result<(), Arc<EngineFailure>> {
        let mut engine = self.app.engine.clone();
        loop {
            match &*engine.borrow_and_update() {
                EngineState::Ready(_) => return Ok(()),
                EngineState::Failed(failure) => return Err(Arc::clone(failure)),
                EngineState::Loading => {}
            }
            if engine.changed().await.is_err() {
                return Err(Arc::new("the engine's thread has ended".into()));
            }
        }
    }

    /// What watches over its tasks.
    #[must_use]
    pub fn vital(&self) -> &Vital {
        &self.app.vital
    }

    /// Returns when the service cannot go on, with the reason: its engine makes no pictures, now or
    /// any more, or one of its tasks is gone.
    pub async fn broken(&self) -> Arc<EngineFailure> {
        tokio::select! {
            failure = self.engine_failed() => failure,
            task = self.app.vital.panicked() => {
                Arc::new(format!("the task `{task}` panicked").into())
            }
        }
    }

    async fn engine_failed(&self) -> Arc<EngineFailure> {
        let mut engine = self.app.engine.clone();
        loop {
            if let EngineState::Failed(failure) = &*engine.borrow_and_update() {
                return Arc::clone(failure);
            }
            if engine.changed().await.is_err() {
                // The engine's thread has ended as it should: the service is draining.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Takes no more jobs from here on: calls that wait are answered, streams end.
    pub fn begin_draining(&self) {
        self.phases.send_replace(Phase::Draining);
    }

    /// Ends the service: what runs has `grace` to finish, and goes back to the queue if it does
    /// not. Pictures that the store has not taken stay in the spool for the next process.
    ///
    /// # Errors
    /// [`DatabaseError`]; the jobs are queued again when the next process starts here, or when
    /// their leases are over.
    pub async fn drain(mut self, grace: Duration) -> Result<(), DatabaseError> {
        self.begin_draining();
        let (worker_ended, delivery) = (&mut self.worker_ended, &self.delivery);
        let finished = async {
            // An error is the thread's end: it drops its side without a word.
            drop(worker_ended.await);
            delivery.idle().await;
        };
        tokio::pin!(finished);
        if timeout(grace, &mut finished).await.is_err() {
            self.phases.send_replace(Phase::Stopping);
            if timeout(LAST_STEP.min(grace), finished).await.is_err() {
                tracing::warn!("a step was cut off by the end of the process");
            }
        }
        self.phases.send_replace(Phase::Stopping);
        // It ends by itself, soon, unless the database hangs; an error is its panic's, which is
        // in the log.
        drop(timeout(LAST_STEP, &mut self.webhooks).await);
        // The job that took an engine down stays as it is: the next process counts the attempt.
        let broke = matches!(*self.app.engine.borrow(), EngineState::Failed(_));
        let handed_back = if broke {
            0
        } else {
            let now = self.database.now().await?;
            self.database.hand_back(&self.machine, now).await?
        };
        tracing::info!(handed_back, "the service has drained");
        self.database.close().await;
        self.app.traces.flush().await;
        Ok(())
    }
}

impl Drop for Service {
    /// Threads and tasks must not outlive a service that was dropped without draining.
    fn drop(&mut self) {
        self.phases.send_replace(Phase::Stopping);
    }
}

/// Seals signing secrets by today's keys. Pictures are made meanwhile, and where it fails.
async fn seal(database: Database) {
    if let Err(error) = database.seal_signing_secrets().await {
        tracing::error!(error = chain(&error), "signing secrets are not sealed");
    }
}

/// Removes pictures from the spool that nobody waits for any more.
async fn sweep(spool: &Spool, database: &Database) -> Result<(), StartError> {
    for image in spool.list()? {
        if !database.is_awaited(&image).await? {
            spool.remove(&image)?;
        }
    }
    Ok(())
}

async fn keep_house(database: Database, spool: Spool, phases: watch::Receiver<Phase>) {
    let mut rounds = Rounds::every(HOUSEKEEPING, phases);
    while rounds.next().await {
        // By the clock that all who share them go by: one that is fast here must not make others
        // take a request twice.
        let forget = async { database.forget_nonces(database.now().await? / 1000).await };
        if let Err(error) = forget.await {
            tracing::warn!(error = chain(&error), "old nonces were not forgotten");
        }
        // A job that was begun here may have been finished elsewhere.
        if let Err(error) = sweep(&spool, &database).await {
            tracing::warn!(error = chain(&error), "the spool was not swept");
        }
    }
}
