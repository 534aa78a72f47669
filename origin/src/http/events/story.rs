//! What has happened to a job, in the words of Server-Sent Events.

use std::sync::Arc;

use axum::response::sse::Event;
use darkroom_shared::job::{Job, Status};
use darkroom_shared::timestamp::to_rfc3339;
use serde_json::{Value, json};

use crate::database::{DatabaseError, EVENTS_AT_ONCE, StoredEvent};
use crate::http::App;

/// What a reader is told of one event.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// Its number within the job.
    pub(super) number: u32,
    /// What the job came to with it; `None` for a step.
    pub(super) status: Option<Status>,
    pub(super) event: Event,
}

/// Some events, one behind the other.
#[derive(Debug)]
pub(super) struct Chapter {
    pub(super) told: Vec<Arc<Told>>,
    /// There may be more already.
    pub(super) goes_on: bool,
    /// There will be no more.
    pub(super) is_last: bool,
}

/// Reads one job's events for one account.
#[derive(Clone, Debug)]
pub(super) struct Story {
    pub(super) app: App,
    pub(super) account: String,
    pub(super) id: String,
    /// Number of the last event that was read.
    pub(super) seen: u32,
    /// The job as it was last read.
    job: Option<Job>,
}

impl Told {
    fn is_final(&self) -> bool {
        self.status.is_some_and(Status::is_final)
    }
}

impl Story {
    /// Goes on behind event number `seen`.
    pub(super) fn new(app: App, account: String, id: String, seen: u32) -> Self {
        let job = None;
        Self {
            app,
            account,
            id,
            seen,
            job,
        }
    }

    /// The next event, which was read by another. Whether it is the last.
    pub(super) fn skip(&mut self, told: &Told) -> bool {
        self.seen = told.number;
        if told.status.is_some() {
            // It has changed since.
            self.job = None;
        }
        told.is_final()
    }

    /// Reads what has happened since.
    pub(super) async fn go_on(&mut self) -> Result<Chapter, DatabaseError> {
        self.app.metrics.watching.read();
        // The status is read before the events and the job after them: an end in between is
        // then seen with its event, and the event with what the job made.
        let status = self.app.database.status(&self.account, &self.id).await?;
        let events = self.app.database.events(&self.id, self.seen).await?;
        // A reader that has the final event already is not kept waiting for another.
        let mut chapter = Chapter {
            told: Vec::with_capacity(events.len()),
            goes_on: events.len() == EVENTS_AT_ONCE as usize,
            is_last: events.is_empty() && status.is_none_or(Status::is_final),
        };
        if events.is_empty() {
            return Ok(chapter);
        }
        let is_running = |job: &Job| job.status == Status::Running;
        let are_steps = events
            .iter()
            .all(|event| Status::parse(&event.name).is_none());
        // While a job is made, its steps change nothing else of it that is told with them.
        if status.is_none() || !are_steps || !self.job.as_ref().is_some_and(is_running) {
            self.job = self.app.queue.job(&self.account, &self.id).await?;
        }
        let Some(job) = &self.job else {
            chapter.is_last = true;
            return Ok(chapter);
        };
        for event in events {
            self.seen = event.number;
            let told = told(&event, job);
            chapter.is_last |= told.is_final();
            chapter.told.push(Arc::new(told));
        }
        Ok(chapter)
    }
}

fn told(event: &StoredEvent, job: &Job) -> Told {
    let message = Event::default()
        .id(event.number.to_string())
        .event(&event.name)
        .data(data(event, job).to_string());
    Told {
        number: event.number,
        status: Status::parse(&event.name),
        event: message,
    }
}

/// The fields of the job that changed with the event; progress also has `step` and `steps` at
/// the top, for readers that draw a bar and nothing else.
fn data(event: &StoredEvent, job: &Job) -> Value {
    let steps = job.progress.steps;
    let mut data = json!({
        "id": job.id,
        "status": event.name,
        "progress": { "step": event.step, "steps": steps },
    });
    match Status::parse(&event.name) {
        None => {
            data["status"] = json!(Status::Running);
            data["started_at"] = json!(job.started_at.map(to_rfc3339));
            data["step"] = json!(event.step);
            data["steps"] = json!(steps);
            if let Some(preview) = &event.preview {
                data["preview"] = json!(preview);
            }
        }
        Some(Status::Queued | Status::Running) => {
            data["created_at"] = json!(to_rfc3339(job.created_at));
            data["queue_position"] = json!(job.queue_position);
        }
        Some(Status::Succeeded | Status::Failed | Status::Canceled) => {
            data["finished_at"] = json!(to_rfc3339(event.at));
            data["images"] = json!(job.images);
            data["error"] = json!(job.error);
        }
    }
    data
}
