//! `GET /api/jobs/{id}/events`: a job's life as Server-Sent Events, out of the database, so
//! that whoever comes late or comes back misses nothing.
//!
//! A reader catches up by itself and then hears, with all others of its account, what one of the
//! `tellers` reads. Where it was too slow for that, it catches up again. A `story` is what is read.

mod story;
mod tellers;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use darkroom_shared::job::VISIBILITY_HEADER;
use futures_util::stream::unfold;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use self::story::{Story, Told};
use super::identity::Caller;
use super::segment::Segment;
use super::{ApiError, App};
use crate::cause::chain;

pub use self::tellers::Tellers;

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
    let mut story = Story::new(app, account, id, last);
    // What is told from here on is heard; what was before is read.
    let teller = story.app.tellers.clone().hear(&story, watch);
    story.seen = seen;
    let follower = Follower {
        story,
        teller,
        waiting: VecDeque::new(),
        is_behind: true,
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
    story: Story,
    teller: Receiver<Arc<Told>>,
    /// What was read and not yet sent.
    waiting: VecDeque<Arc<Told>>,
    /// Something was told that this reader has not heard.
    is_behind: bool,
    over: bool,
}

impl Follower {
    /// The next event; `None` behind the final one, or when the service drains.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(told) = self.waiting.pop_front() {
                return Some(told.event.clone());
            }
            if self.over {
                return None;
            }
            if self.is_behind {
                self.look().await?;
                continue;
            }
            tokio::select! {
                told = self.teller.recv() => match told {
                    Ok(told) if told.number <= self.story.seen => {}
                    Ok(told) if told.number == self.story.seen + 1 => {
                        self.over = self.story.skip(&told);
                        self.waiting.push_back(told);
                    }
                    Ok(_) | Err(RecvError::Lagged(_)) => self.is_behind = true,
                    // The job is no longer the account's, or the database cannot be read.
                    Err(RecvError::Closed) => return None,
                },
                () = self.story.app.queue.draining() => {
                    // What the reader may still be told, before it has to come back.
                    self.look().await?;
                    self.over = true;
                }
            }
        }
    }

    /// Gathers what has happened since; `None` where the database cannot be read: the reader
    /// comes back and resumes where it was.
    async fn look(&mut self) -> Option<()> {
        let chapter = self.story.go_on().await.inspect_err(|error| {
            tracing::error!(error = chain(error), "a stream of events was cut off");
        });
        let chapter = chapter.ok()?;
        self.waiting.extend(chapter.told);
        self.is_behind = chapter.goes_on;
        self.over = chapter.is_last;
        Some(())
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
