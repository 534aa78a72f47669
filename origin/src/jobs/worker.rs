//! The engine's own thread: makes the pictures of one job after the other.

use std::any::Any;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use darkroom_shared::model::Model;
use darkroom_shared::previews;
use darkroom_shared::problem::Code;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use super::claimer::{Ahead, Next};
use super::{Checkpoints, Claimer, Delivery, Endings, Pace, Phase, Preview, Task};
use crate::cause::chain;
use crate::database::FoundCheckpoint;
use crate::engine::{Engine, EngineError, Picture, Start, Step};
use crate::metrics::Stage;

/// What a main thread has; a thread's own default is a quarter of it.
pub(super) const STACK: usize = 8 << 20;

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
    /// Finds what is to be made.
    pub claimer: Claimer,
    /// Saves what may have to be gone on with.
    pub checkpoints: Checkpoints,
    /// Ends jobs that fail.
    pub endings: Endings,
    /// Takes the pictures over.
    pub delivery: Arc<Delivery>,
    /// Is told how long steps take.
    pub pace: Arc<Pace>,
    /// When to take no more, and when to stop.
    pub phases: watch::Receiver<Phase>,
    /// Is told how the engine is.
    pub state: watch::Sender<EngineState>,
    /// Where waiting happens.
    pub runtime: Handle,
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
        let engine: Arc<dyn Engine> = match open(load) {
            Ok(engine) => engine.into(),
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
        let mut ahead = None;
        while let Some(next) = self.claimer.next(ahead) {
            if *self.phases.borrow() != Phase::Serving {
                return self.claimer.give_back(&next);
            }
            ahead = self.make(&engine, next);
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

    /// Makes the pictures of a job that are not stored yet; the job after it, where that was looked
    /// for meanwhile.
    fn make(
        &self,
        engine: &Arc<dyn Engine>,
        Next {
            mut job,
            work,
            span,
        }: Next,
    ) -> Option<Ahead> {
        let mut making = Making {
            engine,
            // Deliveries hold on to the job, and have no use for these.
            start: job.start.take(),
            checkpoint: job.checkpoint.take(),
            ahead: None,
        };
        let job = Arc::new(job);
        self.endings.changes.announce(&job.lease.job);
        tracing::info!(
            job = job.lease.job,
            trace_id = span.place().map(|place| place.trace_id()),
            images = job.images.len(),
            "the job is taken up"
        );
        self.endings.progress.begun(&job.lease);
        if let Some(time) = job.waited {
            self.endings.metrics.jobs.waited(time);
        }
        for image in &job.images {
            let task = Task {
                recipe: job.recipe.for_image(image.position),
                image: image.clone(),
                job: Arc::clone(&job),
                work: work.clone(),
                span: span.clone(),
            };
            let picture = match self.picture(&mut making, &task) {
                Ok(picture) => picture,
                Err(failure) => {
                    self.give_up(&task, failure);
                    break;
                }
            };
            self.runtime.block_on(self.delivery.take(task, picture));
        }
        making.ahead
    }

    /// The picture of one image, or `None` where an earlier try left it in the spool.
    fn picture(&self, making: &mut Making<'_>, task: &Task) -> Result<Option<Picture>, Failure> {
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
        // Before the engine works for nothing.
        let can_sign = self.delivery.can_sign(&task.recipe);
        can_sign.map_err(|error| Failure::Error(EngineError::Failed(Box::new(error))))?;
        let pixels = u64::from(task.recipe.width) * u64::from(task.recipe.height);
        let metrics = &self.endings.metrics.jobs;
        let Making {
            engine,
            start,
            checkpoint,
            ahead,
        } = making;
        let numbers = engine.numbers();
        let lease = &task.job.lease;
        let mut saver = self
            .checkpoints
            .of(lease, &task.image.id, numbers.as_deref());
        let begun = Instant::now();
        let (mut prepared, mut last) = (begun, begun);
        // What is to be done with the last step but one, where that is none.
        if task.is_last() && steps == 1 && ahead.is_none() {
            *ahead = self.claimer.ahead(engine);
        }
        let mut on_step = |step: &Step<'_>| {
            prepared = step.prepared;
            // Before the first step the engine reads the words.
            let step_took = last.max(prepared).elapsed();
            self.pace.measured(step_took, pixels);
            metrics.stepped(step_took);
            metrics.engine_worked(last.elapsed());
            let done = before + step.done;
            if self.must_stop(task) {
                if !task.work.has_ended() {
                    saver.stopped(step, done, &self.runtime);
                }
                last = Instant::now();
                return ControlFlow::Break(());
            }
            // Not earlier: a job that is claimed is out of the queue's order.
            if task.is_last() && step.done + 1 >= step.steps && ahead.is_none() {
                *ahead = self.claimer.ahead(engine);
            }
            let preview = self.preview(task, step);
            // A job whose last step is told is as good as made. That is said when its picture is in
            // the spool, unless there is something to be seen of it.
            if preview.is_some() || !task.is_last() || step.done < step.steps {
                self.endings.progress.report(lease, done, preview);
            }
            saver.stepped(step, done);
            last = Instant::now();
            ControlFlow::Continue(())
        };
        let found = checkpoint.as_ref().filter(|it| it.is_of(&task.image.id));
        let state = found.and_then(|it| self.state_of(it, task, numbers.as_deref()));
        let run = AssertUnwindSafe(|| {
            let (recipe, start) = (&task.recipe, start.as_ref());
            if let Some(state) = state {
                match engine.resume(recipe, start, state, &mut on_step) {
                    Err(EngineError::State(why)) => self.refuse(task, &why),
                    made => return made,
                }
            }
            engine.generate(recipe, start, &mut on_step)
        });
        let made = catch_unwind(run);
        metrics.engine_worked(last.elapsed());
        match made {
            Ok(Ok(picture)) => {
                metrics.staged(Stage::Steps, last.duration_since(begun));
                let decoding = last.elapsed();
                metrics.staged(Stage::Decode, decoding);
                let rest = prepared.duration_since(begun) + decoding;
                self.pace.measured_rest(rest, u64::from(steps) * pixels);
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

    /// The state to go on from, where it is one that this engine can.
    fn state_of<'a>(
        &self,
        found: &'a FoundCheckpoint,
        task: &Task,
        numbers: Option<&str>,
    ) -> Option<&'a [u8]> {
        match found.state(numbers) {
            Ok(state) => {
                let (job, step) = (&task.job.lease.job, found.step());
                tracing::info!(job, step, "the run goes on from where it was saved");
                self.checkpoints.resumed(true);
                Some(state)
            }
            Err(error) => {
                self.refuse(task, &error.to_string());
                None
            }
        }
    }

    /// Begins anew what was saved in a form that nobody can go on from.
    fn refuse(&self, task: &Task, why: &str) {
        let lease = &task.job.lease;
        tracing::warn!(
            job = lease.job,
            why,
            "what was saved of the run is of no use"
        );
        self.checkpoints.resumed(false);
        self.endings.progress.begun_anew(lease);
    }

    /// What can be seen after a step, where there is to be a preview.
    fn preview(&self, task: &Task, step: &Step<'_>) -> Option<Preview> {
        if !previews::is_due(step.done, step.steps, task.job.previews) {
            return None;
        }
        let begun = Instant::now();
        let seen = (step.preview)();
        self.endings.metrics.jobs.engine_worked(begun.elapsed());
        match seen {
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

/// What a job is made with.
struct Making<'a> {
    engine: &'a Arc<dyn Engine>,
    start: Option<Start>,
    checkpoint: Option<FoundCheckpoint>,
    /// The job after it, once that is looked for.
    ahead: Option<Ahead>,
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
