//! The engine's own thread: takes jobs out of the queue and makes their pictures, one by one.

use std::any::Any;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use darkroom_shared::job::Status;
use darkroom_shared::model::Model;
use darkroom_shared::previews;
use darkroom_shared::problem::Code;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::sleep;

use super::{Delivery, Endings, Pace, Phase, Preview, Task};
use crate::cause::chain;
use crate::database::{Claim, ClaimedJob, DatabaseError};
use crate::engine::{Engine, EngineError, Picture, Start, Step};
use crate::metrics::Stage;
use crate::traces::{Span, Traces};

/// What a main thread has; a thread's own default is a quarter of it.
const STACK: usize = 8 << 20;
/// Before asking a database again that has just failed.
const DATABASE_PAUSE: Duration = Duration::from_secs(1);
/// Before looking into an empty queue again although nothing rang: whatever way a job gets
/// there, it does not wait for the next one.
pub(super) const IDLE_PAUSE: Duration = Duration::from_secs(1);

/// Whatever kept a model from being loaded, or ended the engine's thread.
pub type EngineFailure = Box<dyn std::error::Error + Send + Sync>;

/// Whether pictures can be made.
#[derive(Clone, Debug)]
pub enum EngineState {
    /// The model is being loaded and warmed up.
    Loading,
    /// It makes pictures.
    Ready(Arc<Model>),
    /// They no longer can: only a new process may do better.
    Failed(Arc<EngineFailure>),
}

/// What the engine's thread works with.
#[derive(Debug)]
pub struct Worker {
    /// In whose name jobs are claimed.
    pub machine: String,
    /// Jobs that are made at one moment for one account, over all machines; 0 is no limit.
    pub account_limit: u32,
    /// Ends jobs that fail.
    pub endings: Endings,
    /// Takes the pictures over.
    pub delivery: Arc<Delivery>,
    /// Is told how long steps take.
    pub pace: Arc<Pace>,
    /// Rings when a job has been accepted.
    pub wake: Arc<Notify>,
    /// When to take no more, and when to stop.
    pub phases: watch::Receiver<Phase>,
    /// Is told how the engine is.
    pub state: watch::Sender<EngineState>,
    /// Where waiting happens.
    pub runtime: Handle,
    /// Where the spans of its work go.
    pub traces: Traces,
}

impl Worker {
    /// Starts the thread: it loads the engine, then makes jobs until the service drains. The
    /// channel closes with the thread.
    ///
    /// # Errors
    /// The system cannot start a thread.
    pub fn start(
        self,
        load: impl FnOnce() -> Result<Box<dyn Engine>, EngineFailure> + Send + 'static,
    ) -> std::io::Result<oneshot::Receiver<()>> {
        let (done, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name("engine".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                let _done = done;
                let run = AssertUnwindSafe(|| self.run(load));
                if let Err(panic) = catch_unwind(run) {
                    self.broke(panic_text(&*panic).into());
                }
            })?;
        Ok(ended)
    }

    fn run(&self, load: impl FnOnce() -> Result<Box<dyn Engine>, EngineFailure>) {
        let engine = match open(load) {
            Ok(engine) => engine,
            Err(failure) => return self.broke(failure),
        };
        let model = Arc::new(engine.model());
        // In this order: who reads the log may ask at once.
        self.state
            .send_replace(EngineState::Ready(Arc::clone(&model)));
        tracing::info!(
            model = model.name,
            revision = model.revision,
            "the engine is ready"
        );
        while let Some((mut job, span)) = self.next_job() {
            // Deliveries hold on to the job, and have no use for it.
            let start = job.start.take();
            self.make(&*engine, &Arc::new(job), start.as_ref(), &span);
        }
    }

    fn broke(&self, failure: EngineFailure) {
        tracing::error!(
            error = chain(&*failure),
            "the engine makes no more pictures"
        );
        self.state
            .send_replace(EngineState::Failed(Arc::new(failure)));
    }

    /// Waits for a job; `None` when the service drains. The span is that of this try to make it.
    fn next_job(&self) -> Option<(ClaimedJob, Span)> {
        let mut phases = self.phases.clone();
        self.runtime.block_on(async {
            while *phases.borrow() == Phase::Serving {
                let asked = SystemTime::now();
                let pause = match self.claim().await {
                    Ok(Some(Claim::Job(job))) => {
                        let span = attempt(&self.traces, &job, asked);
                        return Some((*job, span));
                    }
                    Ok(Some(Claim::Unreadable { job, source })) => {
                        tracing::error!(job, error = chain(&source), "the job cannot be read");
                        let code = Some(Code::Internal);
                        self.endings.metrics.jobs.ended(Status::Failed, code);
                        self.endings.changes.announce(&job);
                        continue;
                    }
                    Ok(Some(Claim::Complete { job })) => {
                        self.endings.metrics.jobs.ended(Status::Succeeded, None);
                        self.endings.changes.announce(&job);
                        continue;
                    }
                    Ok(None) => IDLE_PAUSE,
                    Err(error) => {
                        tracing::error!(
                            error = chain(&error),
                            "the queue cannot be read; trying again"
                        );
                        DATABASE_PAUSE
                    }
                };
                // A ring that came while the queue was read is kept, so none is missed.
                tokio::select! {
                    () = self.wake.notified() => {}
                    () = sleep(pause) => {}
                    () = Phase::reached(&mut phases, Phase::Draining) => {}
                }
            }
            None
        })
    }

    async fn claim(&self) -> Result<Option<Claim>, DatabaseError> {
        let database = &self.endings.database;
        let now = database.now().await?;
        let limit = self.account_limit;
        database.claim(&self.machine, limit, now).await
    }

    /// Makes the pictures of a job that are not stored yet.
    fn make(&self, engine: &dyn Engine, job: &Arc<ClaimedJob>, start: Option<&Start>, span: &Span) {
        let work = self.endings.running.begin(&job.lease);
        self.endings.changes.announce(&job.lease.job);
        tracing::info!(
            job = job.lease.job,
            trace_id = span.place().map(|place| place.trace_id()),
            images = job.images.len(),
            "the job is taken up"
        );
        // Canceled after the claim but before the flag was up: nobody could have set it.
        let held = self.endings.database.holds(&job.lease);
        if matches!(self.runtime.block_on(held), Ok(false)) {
            return;
        }
        if let Some(time) = job.waited {
            self.endings.metrics.jobs.waited(time);
        }
        for image in &job.images {
            let task = Task {
                recipe: job.recipe.for_image(image.position),
                image: image.clone(),
                job: Arc::clone(job),
                work: work.clone(),
                span: span.clone(),
            };
            let picture = match self.picture(engine, &task, start) {
                Ok(picture) => picture,
                Err(failure) => return self.give_up(&task, failure),
            };
            self.runtime.block_on(self.delivery.take(task, picture));
        }
    }

    /// The picture of one image, or `None` where an earlier try left it in the spool.
    fn picture(
        &self,
        engine: &dyn Engine,
        task: &Task,
        start: Option<&Start>,
    ) -> Result<Option<Picture>, Failure> {
        if self.must_stop(task) {
            return Err(Failure::Stopped);
        }
        let steps = task.recipe.steps_taken();
        let before = task.image.position * steps;
        let held = self.delivery.holds(&task.image);
        if held.map_err(|error| Failure::Error(EngineError::Failed(Box::new(error))))? {
            self.endings
                .progress
                .report(&task.job.lease, before + steps, None);
            return Ok(None);
        }
        let pixels = u64::from(task.recipe.width) * u64::from(task.recipe.height);
        let metrics = &self.endings.metrics.jobs;
        let begun = Instant::now();
        let (mut prepared, mut last) = (begun, begun);
        let mut on_step = |step: &Step<'_>| {
            prepared = step.prepared;
            self.pace.measured(last.elapsed(), pixels);
            metrics.stepped(last.elapsed());
            if self.must_stop(task) {
                return ControlFlow::Break(());
            }
            let preview = preview(task, step);
            self.endings
                .progress
                .report(&task.job.lease, before + step.done, preview);
            last = Instant::now();
            ControlFlow::Continue(())
        };
        let run = AssertUnwindSafe(|| engine.generate(&task.recipe, start, &mut on_step));
        match catch_unwind(run) {
            Ok(Ok(picture)) => {
                metrics.staged(Stage::Steps, last.duration_since(begun));
                metrics.staged(Stage::Decode, last.elapsed());
                task.span.past("text", begun, prepared);
                task.span.past("steps", prepared, last);
                task.span.past("decode", last, Instant::now());
                Ok(Some(picture))
            }
            Ok(Err(EngineError::Canceled)) if self.must_stop(task) => Err(Failure::Stopped),
            Ok(Err(error)) => Err(Failure::Error(error)),
            Err(panic) => Err(Failure::Panic(panic_text(&*panic))),
        }
    }

    fn must_stop(&self, task: &Task) -> bool {
        task.work.has_ended() || *self.phases.borrow() == Phase::Stopping
    }

    /// Ends a job whose picture was not made, or a try of it. One that was stopped has been ended, or will be
    /// handed back, by who stopped it.
    fn give_up(&self, task: &Task, failure: Failure) {
        let lease = &task.job.lease;
        let job = &lease.job;
        match failure {
            Failure::Stopped => {
                tracing::info!(job, "the job was stopped");
            }
            Failure::Error(error @ EngineError::Invalid { .. }) => {
                task.span.fail(Code::Invalid.as_str());
                tracing::info!(job, "the engine does not take the request");
                let message = error.to_string();
                let failed = self.endings.failed(lease, Code::Invalid, &message);
                self.runtime.block_on(failed);
            }
            Failure::Error(error) => {
                tracing::error!(job, error = chain(&error), "the picture could not be made");
                self.tried(task);
            }
            Failure::Panic(panic) => {
                tracing::error!(job, panic, "the engine panicked");
                self.tried(task);
            }
        }
    }

    fn tried(&self, task: &Task) {
        let code = Code::GenerationFailed;
        task.span.fail(code.as_str());
        let tried = self
            .endings
            .tried(&task.job.lease, code, "the engine failed");
        self.runtime.block_on(tried);
    }
}

/// The span of a try to make a job, which was claimed by a call that began when `asked`. What was
/// before it is told by now, too: nobody worked on it then.
fn attempt(traces: &Traces, job: &ClaimedJob, asked: SystemTime) -> Span {
    let (place, claimed) = (traces.at(job.trace), SystemTime::now());
    if let Some(waited) = job.waited {
        place.child_since("queue", claimed - waited).end_at(claimed);
    }
    let span = place.child_since("attempt", asked);
    span.set("darkroom.job.id", job.lease.job.clone());
    span.set("darkroom.attempt", job.lease.token);
    span.set("darkroom.images", job.images.len() as i64);
    span.set("darkroom.model", job.recipe.model.clone());
    span.set("darkroom.steps", i64::from(job.recipe.steps_taken()));
    span.set("darkroom.width", i64::from(job.recipe.width));
    span.set("darkroom.height", i64::from(job.recipe.height));
    span.child_since("claim", asked).end_at(claimed);
    span
}

/// What can be seen after a step, where there is to be a preview.
fn preview(task: &Task, step: &Step<'_>) -> Option<Preview> {
    if !previews::is_due(step.done, step.steps, task.job.previews) {
        return None;
    }
    match (step.preview)() {
        Ok(picture) => Some(Preview {
            picture,
            format: task.recipe.format,
        }),
        Err(error) => {
            // Nobody's picture is worse for it.
            tracing::warn!(
                job = task.job.lease.job,
                error = chain(&error),
                "no preview"
            );
            None
        }
    }
}

/// Why there is no picture.
enum Failure {
    Stopped,
    Error(EngineError),
    Panic(String),
}

fn open(
    load: impl FnOnce() -> Result<Box<dyn Engine>, EngineFailure>,
) -> Result<Box<dyn Engine>, EngineFailure> {
    let engine = load()?;
    engine.warm_up()?;
    Ok(engine)
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}
