//! `GET /api/jobs/{id}/events`: a job's life as Server-Sent Events, out of the database, so
//! that whoever comes late or comes back misses nothing.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use darkroom_shared::job::{Job, Status, VISIBILITY_HEADER};
use darkroom_shared::timestamp::to_rfc3339;
use futures_util::stream::unfold;
use serde_json::{Value, json};

use super::identity::Caller;
use super::segment::Segment;
use super::{ApiError, App};
use crate::cause::chain;
use crate::database::{DatabaseError, StoredEvent};
use crate::jobs::Watch;

/// Often enough that no proxy in between takes the line for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Streams the events of one of the caller's jobs, from behind `Last-Event-ID` on. A reader that
/// has the final one is told not to come back (204).
pub(super) async fn stream(
    State(app): State<App>,
    Caller(account): Caller,
    Segment(id): Segment,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let watch = app.queue.watch(&id);
    let status = app.database.status(&account, &id).await?;
    let status = status.ok_or_else(|| ApiError::not_found("job"))?;
    let last = app.database.last_event(&id).await?;
    let seen = seen(&headers, last);
    if status.is_final() && seen == last {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let visibility = app.database.visibility(&id).await?;
    let follower = Follower {
        app,
        watch,
        account,
        id,
        seen,
        job: None,
        waiting: VecDeque::new(),
        over: false,
    };
    let events = unfold(follower, |mut follower| async {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    let stream = Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT));
    Ok(([(VISIBILITY_HEADER, visibility.as_str())], stream).into_response())
}

/// Follows one job for one reader.
struct Follower {
    app: App,
    watch: Watch,
    account: String,
    id: String,
    /// Number of the last event that the reader has.
    seen: u32,
    /// The job as it was last read.
    job: Option<Job>,
    waiting: VecDeque<Event>,
    over: bool,
}

impl Follower {
    /// The next event; `None` behind the final one, or when the service drains.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            self.look().await?;
            if self.waiting.is_empty() && !self.over {
                tokio::select! {
                    () = self.watch.changed() => {}
                    () = self.app.queue.draining() => {
                        // What the reader may still be told, before it has to come back.
                        self.look().await?;
                        self.over = true;
                    }
                }
            }
        }
    }

    /// Gathers what has happened since; `None` where the database cannot be read: the reader
    /// comes back and resumes where it was.
    async fn look(&mut self) -> Option<()> {
        self.gather()
            .await
            .inspect_err(|error| {
                tracing::error!(error = chain(error), "a stream of events was cut off");
            })
            .ok()
    }

    async fn gather(&mut self) -> Result<(), DatabaseError> {
        // The status is read before the events and the job after them: an end in between is
        // then seen with its event, and the event with what the job made.
        let status = self.app.database.status(&self.account, &self.id).await?;
        let events = self.app.database.events(&self.id, self.seen).await?;
        // A reader that has the final event already is not kept waiting for another.
        self.over = events.is_empty() && status.is_none_or(Status::is_final);
        if events.is_empty() {
            return Ok(());
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
            self.over = true;
            return Ok(());
        };
        for event in events {
            self.seen = event.number;
            self.over |= Status::parse(&event.name).is_some_and(Status::is_final);
            self.waiting.push_back(message(&event, job));
        }
        Ok(())
    }
}

/// The number of the last event that the reader has, of those up to `last`.
fn seen(headers: &HeaderMap, last: u32) -> u32 {
    let value = headers.get("last-event-id");
    let text = value.and_then(|value| value.to_str().ok());
    let number = text.and_then(|text| text.trim().parse().ok());
    // Anything else was not ours: the reader gets the whole story.
    number.filter(|number| *number <= last).unwrap_or(0)
}

fn message(event: &StoredEvent, job: &Job) -> Event {
    Event::default()
        .id(event.number.to_string())
        .event(&event.name)
        .data(data(event, job).to_string())
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
