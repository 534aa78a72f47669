//! Server-Sent Events, as the WHATWG's HTML standard (9.2.6) reads them, out of pieces of any
//! length.

/// One event, or a word that only says that the line still stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A comment.
    Comment,
    /// An event that has data.
    Event {
        /// Its id, for `Last-Event-ID`.
        id: String,
        /// Its name.
        name: String,
        /// Its lines, joined.
        data: String,
    },
}

/// Takes pieces in and gives messages out.
#[derive(Debug, Default)]
pub struct Parser {
    /// A line that has not come to its end.
    line: Vec<u8>,
    id: String,
    name: String,
    data: Option<String>,
}

impl Parser {
    /// The messages that have come to their end with this piece.
    pub fn feed(&mut self, piece: &[u8]) -> Vec<Message> {
        let mut messages = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                let line = String::from_utf8_lossy(&line);
                messages.extend(self.line(line.trim_end_matches(['\r', '\n'])));
            }
        }
        messages
    }

    fn line(&mut self, line: &str) -> Option<Message> {
        if line.is_empty() {
            let name = std::mem::take(&mut self.name);
            return self.data.take().map(|data| Message::Event {
                id: self.id.clone(),
                name,
                data,
            });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" => return Some(Message::Comment),
            "id" => value.clone_into(&mut self.id),
            "event" => value.clone_into(&mut self.name),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                none => *none = Some(value.to_owned()),
            },
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(id: &str, name: &str, data: &str) -> Message {
        Message::Event {
            id: id.into(),
            name: name.into(),
            data: data.into(),
        }
    }

    const STREAM: &str = ": here\n\nid: 1\nevent: queued\ndata: {}\n\n:\r\ndata: a\r\ndata:  b\r\n\
                          retry: 5\r\n\r\nid: 3\n\ndata\n\ndata: cut o";

    fn expected() -> Vec<Message> {
        vec![
            Message::Comment,
            event("1", "queued", "{}"),
            Message::Comment,
            event("1", "", "a\n b"),
            event("3", "", ""),
        ]
    }

    #[test]
    fn events_and_comments_are_told_apart() {
        assert_eq!(Parser::default().feed(STREAM.as_bytes()), expected());
    }

    proptest! {
        #[test]
        fn it_makes_no_difference_where_the_pieces_end(
            cuts in proptest::collection::vec(0..STREAM.len(), 0..6),
        ) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let mut parser = Parser::default();
            let mut messages = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([STREAM.len()]) {
                messages.extend(parser.feed(&STREAM.as_bytes()[from..cut]));
                from = cut;
            }
            prop_assert_eq!(messages, expected());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Parser::default().feed(&bytes);
        }
    }
}
