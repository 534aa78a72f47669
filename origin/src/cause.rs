//! Errors for the log: one line that says what failed and why.

use std::error::Error;

/// An error and its causes, each behind a colon.
///
/// A cause that its error has already repeated is left out.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        next = cause.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Layer>>,
    }

    #[test]
    fn causes_follow_once_each() {
        let cause = |text, source: Option<Layer>| Layer {
            text,
            source: source.map(Box::new),
        };
        let bottom = cause("no such file", None);
        let middle = cause("cannot read a: no such file", Some(bottom));
        let top = cause("the model cannot be loaded", Some(middle));
        assert_eq!(
            chain(&top),
            "the model cannot be loaded: cannot read a: no such file"
        );
    }
}
