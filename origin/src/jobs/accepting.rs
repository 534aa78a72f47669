//! Handing jobs in.

use std::sync::Arc;

use darkroom_shared::job::{Job, Progress, Status};
use darkroom_shared::key::object_key;
use darkroom_shared::priority::Priority;
use darkroom_shared::recipe::Recipe;
use darkroom_shared::request::GenerateRequest;
use darkroom_shared::timestamp::UnixMillis;
use darkroom_shared::trace::TraceParent;
use uuid::Uuid;

use super::queue::to_the_end;
use super::{JobQueue, Phase};
use crate::cause::chain;
use crate::database::{Acceptance, DatabaseError, NewImage, NewJob, Place, Waiting};
use crate::engine::Start;

/// What a caller hands in.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// The job's id. One that the account has handed in before is not made twice.
    pub id: Uuid,
    /// Whose job it is.
    pub account: &'a str,
    /// What was asked for.
    pub request: &'a GenerateRequest,
    /// What `request` was completed into.
    pub recipe: Recipe,
    /// The picture that it begins with.
    pub start: Option<Start>,
    /// The image of the account's that it makes anew.
    pub previous: Option<&'a str>,
    /// Seconds within which it must be done.
    pub deadline: Option<u32>,
    /// How it stands beside others.
    pub priority: Priority,
    /// Where its spans go on.
    pub trace: Option<TraceParent>,
    /// When it is handed in.
    pub now: UnixMillis,
}

/// What came of handing a job in.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// The job as it is then: the one that was handed in, or an equal one that it has joined.
    pub job: Job,
    /// Whether its pictures had been made before.
    pub is_made: bool,
}

/// Why a job was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// Too many are waiting.
    #[error("too many jobs are waiting")]
    QueueFull {
        /// An estimate of the seconds until there is room, where there is one.
        seconds: Option<f64>,
    },
    /// Too many of the account's own are.
    #[error("too many of the account's jobs are waiting")]
    AccountFull {
        /// The same until one of them is taken up.
        seconds: Option<f64>,
    },
    /// Another account has a job of this id.
    #[error("the job is another account's")]
    Anothers,
    /// It would not be done in time.
    #[error("the job would take about {estimate} seconds, not {deadline}")]
    DeadlineMissed {
        /// Seconds that the caller has.
        deadline: u32,
        /// Seconds until it would be done.
        estimate: f64,
        /// Seconds that it would take with nothing before it.
        alone: f64,
    },
    /// The service is about to end.
    #[error("the service is draining")]
    Draining,
    /// It could not be recorded.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<Job> for Accepted {
    /// One that is on record already.
    fn from(job: Job) -> Self {
        let is_made = false;
        Self { job, is_made }
    }
}

impl JobQueue {
    /// Accepts a job, or joins an equal one; the job as it is then.
    ///
    /// # Errors
    /// [`AcceptError`]; nothing was recorded then.
    pub async fn accept(&self, order: Order<'_>) -> Result<Accepted, AcceptError> {
        if *self.0.phases.borrow() != Phase::Serving {
            return Err(AcceptError::Draining);
        }
        let Order { account, now, .. } = order;
        let deadline = order.deadline;
        let new = NewJob {
            id: order.id,
            account: account.to_owned(),
            task_id: order.request.task_id.clone(),
            previous: order.previous.map(str::to_owned),
            visibility: order.request.visibility,
            images: (0..order.request.n)
                .map(|index| {
                    let recipe = order.recipe.for_image(index);
                    new_image(order.request, &recipe, Uuid::new_v4(), now)
                })
                .collect::<Result<_, _>>()
                .map_err(DatabaseError::Recipe)?,
            recipe: order.recipe,
            start: order.start,
            previews: order.request.previews,
            priority: order.priority,
            webhook_url: order.request.webhook_url.clone(),
            deadline: self.moment(deadline).await?,
            trace: order.trace,
            now,
        };
        if let Some(deadline) = deadline {
            self.check_deadline(&new, deadline).await?;
        }
        let mut job = queued(&new);
        let mut is_made = false;
        let (database, wake) = (self.0.database.clone(), Arc::clone(&self.0.wake));
        let places = self.0.places.clone();
        let room = places.room(account).await?;
        let acceptance = to_the_end(async move {
            let acceptance = database.accept(&new, room).await?;
            if acceptance == Acceptance::Accepted {
                places.accepted();
            }
            // One ring too many does no harm.
            wake.notify_one();
            Ok(acceptance)
        });
        match acceptance.await? {
            Acceptance::Accepted | Acceptance::Known => {}
            Acceptance::Joined(joined) => {
                job.id = joined.job;
                is_made = joined.is_made;
            }
            Acceptance::Anothers => return Err(AcceptError::Anothers),
            Acceptance::QueueFull => {
                // There is room when a machine takes the next job.
                let seconds = self.seconds_until(None).await?;
                return Err(AcceptError::QueueFull { seconds });
            }
            Acceptance::AccountFull => {
                let first = self.0.database.first_place(account).await?;
                let seconds = self.seconds_until(first).await?;
                return Err(AcceptError::AccountFull { seconds });
            }
        }
        let found = self.job(account, &job.id).await.unwrap_or_else(|error| {
            // It is on record: a caller who was told to try again would get it twice.
            tracing::error!(error = chain(&error), "an accepted job cannot be read");
            None
        });
        let job = found.unwrap_or(job);
        Ok(Accepted { job, is_made })
    }

    /// An estimate of when a machine takes up the job at a place; without one, the next job.
    async fn seconds_until(&self, place: Option<Place>) -> Result<Option<f64>, DatabaseError> {
        let waiting = match place {
            Some(place) => self.0.places.before(place).await?,
            None => Waiting::default(),
        };
        let ahead = self.0.database.at_work().await?.and(waiting);
        Ok(self.0.pace.estimate(ahead.pixel_steps))
    }

    /// When a deadline in so many seconds is.
    async fn moment(&self, deadline: Option<u32>) -> Result<Option<UnixMillis>, DatabaseError> {
        let Some(seconds) = deadline else {
            return Ok(None);
        };
        let now = self.0.database.now().await?;
        Ok(Some(now + UnixMillis::from(seconds) * 1000))
    }

    /// Refuses a job that would not be done in time, as far as anybody can tell. One that is on
    /// record or joins another is not refused: its caller hears by then how that one stands.
    async fn check_deadline(&self, new: &NewJob, deadline: u32) -> Result<(), AcceptError> {
        if self.0.database.is_there(new).await? {
            return Ok(());
        }
        let turn = self.0.database.next_turn(&new.account, new.priority);
        let waiting = self.0.places.before(Place::behind(turn.await?)).await?;
        let ahead = self.0.database.at_work().await?.and(waiting);
        let own = u64::from(new.steps()) * new.pixels();
        let estimate = |pixel_steps| self.0.pace.estimate(pixel_steps);
        match (estimate(ahead.pixel_steps + own), estimate(own)) {
            (Some(estimate), Some(alone)) if estimate > f64::from(deadline) => {
                Err(AcceptError::DeadlineMissed {
                    deadline,
                    estimate,
                    alone,
                })
            }
            _ => Ok(()),
        }
    }
}

/// A job as it is when it has just been accepted.
fn queued(new: &NewJob) -> Job {
    Job {
        id: new.id.to_string(),
        status: Status::Queued,
        task_id: new.task_id.clone(),
        created_at: new.now,
        started_at: None,
        finished_at: None,
        progress: Progress {
            step: 0,
            steps: new.steps(),
        },
        queue_position: None,
        eta_seconds: None,
        images: Vec::new(),
        error: None,
        recipe: new.recipe.clone(),
    }
}

/// An image with the name that its object will have, whenever it is made.
fn new_image(
    request: &GenerateRequest,
    recipe: &Recipe,
    id: Uuid,
    now: UnixMillis,
) -> Result<NewImage, serde_json::Error> {
    Ok(NewImage {
        id,
        key: object_key(now.div_euclid(1000), id, request.format, request.visibility),
        seed: recipe.seed,
        recipe_sha256: recipe.hash()?,
    })
}
