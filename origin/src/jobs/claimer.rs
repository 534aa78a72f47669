//! Takes jobs out of the queue: the next one while the engine is at the last step of the one before,
//! so that it never waits for the database or for words to be encoded.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use darkroom_shared::job::Status;
use darkroom_shared::problem::Code;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use super::worker::STACK;
use super::{AtWork, Endings, Phase};
use crate::cause::chain;
use crate::database::{Claim, ClaimedJob, DatabaseError};
use crate::engine::Engine;
use crate::traces::{Span, Traces};

/// Before asking a database again that has just failed.
const DATABASE_PAUSE: Duration = Duration::from_secs(1);
/// Before looking into an empty queue again although nothing rang: whatever way a job gets
/// there, it does not wait for the next one.
pub(super) const IDLE_PAUSE: Duration = Duration::from_secs(1);

/// Claims jobs for one engine.
#[derive(Clone, Debug)]
pub struct Claimer {
    /// In whose name.
    pub machine: String,
    /// Jobs that are made at one moment for one account, over all machines; 0 is no limit.
    pub account_limit: u32,
    /// Tells of jobs that end with their claim.
    pub endings: Endings,
    /// Rings when a job has been accepted.
    pub wake: Arc<Notify>,
    /// When to claim no more.
    pub phases: watch::Receiver<Phase>,
    /// Where waiting happens.
    pub runtime: Handle,
    /// Where the spans of its work go.
    pub traces: Traces,
}

/// A job that is next. Its lease is kept, and whoever ends it is heard, from the claim on.
#[derive(Debug)]
pub struct Next {
    /// The job.
    pub job: ClaimedJob,
    /// Its place among those at work.
    pub work: AtWork,
    /// The span of this try to make it.
    pub span: Span,
}

/// A job that is being waited for and made ready.
#[derive(Debug)]
pub struct Ahead(JoinHandle<Option<Next>>);

impl Claimer {
    /// Begins to wait for the next job, on a thread of its own: what prepares for it takes an
    /// engine's stack. `None` where the system has no thread to give; the job can be had all the same.
    #[must_use]
    pub fn ahead(&self, engine: &Arc<dyn Engine>) -> Option<Ahead> {
        let (claimer, engine) = (self.clone(), Arc::clone(engine));
        let work = move || {
            let next = claimer.wait()?;
            prepare(&*engine, &next.job);
            Some(next)
        };
        let thread = std::thread::Builder::new()
            .name("ahead".to_owned())
            .stack_size(STACK)
            .spawn(work);
        match thread {
            Ok(thread) => Some(Ahead(thread)),
            Err(error) => {
                tracing::warn!(error = chain(&error), "the next job is not claimed ahead");
                None
            }
        }
    }

    /// The next job, which may have been waited for; `None` when the service drains.
    #[must_use]
    pub fn next(&self, ahead: Option<Ahead>) -> Option<Next> {
        match ahead.map(|Ahead(thread)| thread.join()) {
            Some(Ok(next)) => next,
            // A panic is in the log.
            Some(Err(_)) | None => self.wait(),
        }
    }

    fn wait(&self) -> Option<Next> {
        let mut phases = self.phases.clone();
        self.runtime.block_on(async {
            while *phases.borrow() == Phase::Serving {
                let asked = SystemTime::now();
                let pause = match self.claim().await {
                    Ok(Some(Claim::Job(job))) => {
                        let work = self.endings.running.begin(&job.lease);
                        let span = attempt(&self.traces, &job, asked);
                        return Some(Next {
                            job: *job,
                            work,
                            span,
                        });
                    }
                    Ok(Some(Claim::Unreadable { job, source, ended })) => {
                        tracing::error!(job, error = chain(&source), "the job cannot be read");
                        if ended {
                            let code = Some(Code::Internal);
                            self.endings.metrics.jobs.ended(Status::Failed, code);
                        }
                        self.endings.changes.announce(&job);
                        continue;
                    }
                    Ok(Some(Claim::Complete { job, ended })) => {
                        if ended {
                            self.endings.metrics.jobs.ended(Status::Succeeded, None);
                        }
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

    /// Gives a job back that was claimed before the service began to drain: others may begin it.
    pub fn give_back(&self, next: &Next) {
        let database = &self.endings.database;
        let lease = &next.job.lease;
        let given = self.runtime.block_on(async {
            let now = database.now().await?;
            database.give_back(lease, now).await
        });
        if let Err(error) = given {
            let job = &lease.job;
            tracing::warn!(job, error = chain(&error), "the job was not given back yet");
        }
        self.endings.changes.announce(&lease.job);
    }
}

/// Whatever is wrong with a recipe is said when it is made.
fn prepare(engine: &dyn Engine, job: &ClaimedJob) {
    let prepared = catch_unwind(AssertUnwindSafe(|| engine.prepare(&job.recipe)));
    if !matches!(prepared, Ok(Ok(()))) {
        tracing::info!(job = job.lease.job, "the engine could not prepare");
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
    span.set("darkroom.attempt", job.lease.claims());
    span.set("darkroom.images", job.images.len() as i64);
    span.set("darkroom.model", job.recipe.model.clone());
    span.set("darkroom.steps", i64::from(job.recipe.steps_taken()));
    span.set("darkroom.width", i64::from(job.recipe.width));
    span.set("darkroom.height", i64::from(job.recipe.height));
    span.child_since("claim", asked).end_at(claimed);
    span
}
