//! How a prompt's text is read.

use std::str::FromStr;

/// How a prompt's text is read, and what happens to more than a window of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PromptSyntax {
    /// As it stands; what is longer than the encoders' window is encoded window by window.
    #[default]
    Plain,
    /// As it stands; what is longer than the encoders' window is dropped, as diffusers does.
    Truncated,
    /// `(words)` count 1.1 times, `(words:1.3)` 1.3 times, `[words]` 1/1.1 times; brackets nest,
    /// `\(` is a bracket, and the word `BREAK` begins a new window: the syntax of A1111's web UI.
    Weighted,
}

impl FromStr for PromptSyntax {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "plain" => Ok(Self::Plain),
            "truncated" => Ok(Self::Truncated),
            "weighted" => Ok(Self::Weighted),
            other => Err(format!(
                "`{other}` is not one of plain, truncated, weighted"
            )),
        }
    }
}

/// A piece of a prompt.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    /// Words, and how much they count.
    Words(String, f32),
    /// Here a new window begins.
    Break,
}

const MORE: f32 = 1.1;

/// Takes a weighted prompt apart.
pub(super) fn parse(text: &str) -> Vec<Piece> {
    let mut parser = Parser::default();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = parser.take(c, rest);
    }
    parser.finish()
}

#[derive(Default)]
struct Parser {
    pieces: Vec<Piece>,
    words: String,
    /// Where each open bracket begins among the pieces.
    round: Vec<usize>,
    square: Vec<usize>,
}

impl Parser {
    /// Takes what begins with `c`, and returns what is left.
    fn take<'a>(&mut self, c: char, rest: &'a str) -> &'a str {
        let after = &rest[c.len_utf8()..];
        match c {
            '\\' => {
                let escaped = after.chars().next().filter(|c| "()[]\\".contains(*c));
                self.words.push(escaped.unwrap_or('\\'));
                return escaped.map_or(after, |c| &after[c.len_utf8()..]);
            }
            '(' => {
                self.end_words();
                self.round.push(self.pieces.len());
            }
            '[' => {
                self.end_words();
                self.square.push(self.pieces.len());
            }
            ':' => {
                if let Some((weight, after)) = weight(after)
                    && let Some(begin) = self.round.pop()
                {
                    self.end_words();
                    self.scale(begin, weight);
                    return after;
                }
                self.words.push(c);
            }
            ')' | ']' => {
                let (open, factor) = if c == ')' {
                    (&mut self.round, MORE)
                } else {
                    (&mut self.square, 1.0 / MORE)
                };
                match open.pop() {
                    Some(begin) => {
                        self.end_words();
                        self.scale(begin, factor);
                    }
                    None => self.words.push(c),
                }
            }
            _ => self.words.push(c),
        }
        after
    }

    fn end_words(&mut self) {
        for (i, words) in split_at_breaks(&std::mem::take(&mut self.words))
            .into_iter()
            .enumerate()
        {
            if i > 0 {
                self.pieces.push(Piece::Break);
            }
            if !words.is_empty() {
                self.pieces.push(Piece::Words(words.to_owned(), 1.0));
            }
        }
    }

    fn scale(&mut self, begin: usize, factor: f32) {
        for piece in &mut self.pieces[begin..] {
            if let Piece::Words(_, weight) = piece {
                *weight *= factor;
            }
        }
    }

    /// Brackets that are still open count as closed.
    fn finish(mut self) -> Vec<Piece> {
        self.end_words();
        for begin in std::mem::take(&mut self.round) {
            self.scale(begin, MORE);
        }
        for begin in std::mem::take(&mut self.square) {
            self.scale(begin, 1.0 / MORE);
        }
        self.pieces
    }
}

/// The parts of a text between the words `BREAK`.
fn split_at_breaks(text: &str) -> Vec<&str> {
    const WORD: &str = "BREAK";
    let mut parts = Vec::new();
    let mut begin = 0;
    for (at, _) in text.match_indices(WORD) {
        let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let end = at + WORD.len();
        if !inside(text[..at].chars().next_back()) && !inside(text[end..].chars().next()) {
            parts.push(&text[begin..at]);
            begin = end;
        }
    }
    parts.push(&text[begin..]);
    parts
}

/// A number and the bracket after it, at the beginning of a text; and what follows.
fn weight(text: &str) -> Option<(f32, &str)> {
    let (number, after) = text.split_once(')')?;
    let weight: f32 = number.trim().parse().ok()?;
    weight.is_finite().then_some((weight, after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> Vec<(String, f32)> {
        let words = |piece| match piece {
            Piece::Words(words, weight) => Some((words, (weight * 1000.0).round() / 1000.0)),
            Piece::Break => None,
        };
        parse(text).into_iter().filter_map(words).collect()
    }

    fn owned(words: &[(&str, f32)]) -> Vec<(String, f32)> {
        words
            .iter()
            .map(|(text, weight)| ((*text).to_owned(), *weight))
            .collect()
    }

    #[test]
    fn brackets_weigh() {
        for (text, expected) in [
            ("plain words", &[("plain words", 1.0)][..]),
            ("a (b) c", &[("a ", 1.0), ("b", 1.1), (" c", 1.0)]),
            ("(a:1.3)b", &[("a", 1.3), ("b", 1.0)]),
            ("((a))", &[("a", 1.21)]),
            ("[a]", &[("a", 0.909)]),
            ("(a (b:2) c:0.5)", &[("a ", 0.5), ("b", 1.0), (" c", 0.5)]),
            (r"\(a\) \\", &[(r"(a) \", 1.0)]),
            ("12:30", &[("12:30", 1.0)]),
            ("(a", &[("a", 1.1)]),
            ("a) b]", &[("a) b]", 1.0)]),
            ("(a:x)", &[("a:x", 1.1)]),
        ] {
            assert_eq!(words(text), owned(expected), "{text}");
        }
        let pieces = parse("a BREAK b");
        assert_eq!(pieces.len(), 3);
        assert_eq!(pieces[1], Piece::Break);
        assert_eq!(parse("BREAKFAST at the OUTBREAK").len(), 1);
    }

    proptest! {
        #[test]
        fn nothing_but_brackets_numbers_and_escapes_is_lost(text in r"[a-z ,:.0-9é!]{0,40}") {
            let joined: String = words(&text).into_iter().map(|(words, _)| words).collect();
            prop_assert_eq!(joined, text);
        }

        #[test]
        fn any_text_can_be_read(text in r"[()\[\]:\\a-z1-9. é]{0,60}") {
            for (_, weight) in words(&text) {
                prop_assert!(!weight.is_nan());
            }
        }
    }
}
