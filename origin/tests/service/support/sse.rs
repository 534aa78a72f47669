//! A reader of Server-Sent Events.

use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::time::timeout;

use super::LIMIT;

/// A stream of events.
pub struct Events {
    stream: BodyDataStream,
    text: String,
}

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    pub id: u32,
    pub name: String,
    pub data: Value,
}

impl Events {
    pub fn new(body: Body) -> Self {
        Self {
            stream: body.into_data_stream(),
            text: String::new(),
        }
    }

    /// The next event; `None` when the stream ends.
    pub async fn next(&mut self) -> Option<Event> {
        // Over heartbeats too, which come for ever.
        let event = timeout(LIMIT, self.read()).await;
        event.expect("an event in time")
    }

    async fn read(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                // A heartbeat is a comment.
                if event.starts_with(':') {
                    continue;
                }
                return Some(parse(&event));
            }
            let piece = self.stream.next().await?.expect("piece");
            self.text
                .push_str(std::str::from_utf8(&piece).expect("text"));
        }
    }

    /// All events to the stream's end.
    pub async fn rest(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }

    /// Waits until `step` steps are done.
    pub async fn until_step(&mut self, step: u32) -> Event {
        while let Some(event) = self.next().await {
            if event.name == "progress" && event.data["step"] == step {
                return event;
            }
        }
        panic!("the job ended before step {step}");
    }
}

fn parse(text: &str) -> Event {
    let field = |name: &str| {
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value
            .unwrap_or_else(|| panic!("no {name} in {text}"))
            .to_owned()
    };
    Event {
        id: field("id").parse().expect("number"),
        name: field("event"),
        data: serde_json::from_str(&field("data")).expect("JSON"),
    }
}
