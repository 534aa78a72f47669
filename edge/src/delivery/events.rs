//! Private images' addresses, in a stream of events.

use darkroom_shared::job::VISIBILITY_HEADER;
use darkroom_shared::request::Visibility;
use futures_util::StreamExt as _;
use futures_util::stream::unfold;
use worker::{ByteStream, Response};

use super::addresses::{Place, sign_images};
use crate::call::Call;
use crate::failure::Answer;
use crate::{log, respond};

/// The same stream, in which every private image has a signed URL. One of a public job is left as
/// it is: what goes through here costs more than what is passed on whole.
pub fn with_addresses_in_events(call: &Call, mut stream: Response) -> Answer {
    let visibility = stream.headers().get(VISIBILITY_HEADER)?;
    if visibility.as_deref() != Some(Visibility::Private.as_str()) {
        return Ok(respond::events().body(stream.into_parts().1.into()));
    }
    let reading = Reading {
        chunks: stream.stream()?,
        begun: Vec::new(),
        place: Place::of(call),
    };
    let events = unfold(reading, |mut reading| async {
        let next = reading.next().await?;
        Some((next, reading))
    });
    Ok(respond::events().stream(events)?)
}

/// An empty line ends an event.
const END: &[u8] = b"\n\n";

struct Reading {
    chunks: ByteStream,
    /// An event that has not come to its end.
    begun: Vec<u8>,
    place: Place,
}

impl Reading {
    /// All whole events that have come; the origin sends each at once.
    async fn next(&mut self) -> Option<worker::Result<Vec<u8>>> {
        loop {
            let Some(chunk) = self.chunks.next().await else {
                let rest = std::mem::take(&mut self.begun);
                return (!rest.is_empty()).then_some(Ok(rest));
            };
            match chunk {
                Ok(chunk) => self.begun.extend_from_slice(&chunk),
                Err(error) => return Some(Err(error)),
            }
            let ends = |part: &[u8]| part == END;
            let last = self.begun.windows(END.len()).rposition(ends);
            let end = last.map_or(0, |last| last.saturating_add(END.len()));
            if let Some((events @ [_, ..], rest)) = self.begun.split_at_checked(end) {
                let (events, rest) = (events.to_vec(), rest.to_vec());
                self.begun = rest;
                return Some(Ok(self.with_addresses(events).await));
            }
        }
    }

    async fn with_addresses(&self, events: Vec<u8>) -> Vec<u8> {
        let mut written = Vec::with_capacity(events.len());
        for line in events.split_inclusive(|byte| *byte == b'\n') {
            let signed = match line.strip_prefix(b"data:") {
                Some(json) => sign_images(&self.place, json).await,
                None => Ok(None),
            };
            match signed {
                Ok(Some(json)) => {
                    written.extend_from_slice(b"data: ");
                    written.extend_from_slice(json.as_bytes());
                    written.push(b'\n');
                }
                Ok(None) => written.extend_from_slice(line),
                Err(failure) => {
                    log::error(
                        &self.place.request_id,
                        format_args!("an event as it came: {failure}"),
                    );
                    written.extend_from_slice(line);
                }
            }
        }
        written
    }
}
