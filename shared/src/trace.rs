//! Which trace a request belongs to: the `traceparent` header (W3C Trace Context).

use std::fmt;

/// Carries the trace, from the caller to the edge and from there to the origin.
pub const TRACEPARENT_HEADER: &str = "traceparent";

/// Sampled, and "the trace's id is random": what a later version may mean by the others is not
/// passed on.
const KNOWN_FLAGS: u8 = 0b11;
const SAMPLED: u8 = 0b01;

/// A place in a trace: whose child the next span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

impl TraceParent {
    /// Begins a trace. No id may be zero.
    #[must_use]
    pub const fn begin(trace_id: u128, span_id: u64) -> Self {
        Self {
            trace_id,
            span_id,
            flags: SAMPLED,
        }
    }

    /// Reads the header's value, or `None` where it is none: then a trace has to begin here. Of a
    /// version that is not known yet, what this one knows is read.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.trim().split('-');
        let version = hex(parts.next()?, 2)?;
        let trace_id = hex(parts.next()?, 32)?;
        let span_id = hex(parts.next()?, 16)? as u64;
        let flags = hex(parts.next()?, 2)? as u8;
        let has_more = parts.next().is_some();
        let is_valid = version != 0xff && trace_id != 0 && span_id != 0;
        (is_valid && !(has_more && version == 0)).then_some(Self {
            trace_id,
            span_id,
            flags: flags & KNOWN_FLAGS,
        })
    }

    /// The same trace with another span in the parent's place.
    #[must_use]
    pub const fn child(self, span_id: u64) -> Self {
        Self { span_id, ..self }
    }

    /// Whether who began the trace wants it recorded.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The trace's id, 32 hex digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// The span's id, 16 hex digits.
    #[must_use]
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.span_id)
    }
}

/// The header's value.
impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            trace_id,
            span_id,
            flags,
        } = self;
        write!(f, "00-{trace_id:032x}-{span_id:016x}-{flags:02x}")
    }
}

/// A number of so many hex digits, which must be in lower case.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_hex = text.len() == digits && text.bytes().all(is_digit);
    is_hex
        .then(|| u128::from_str_radix(text, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn what_the_standard_shows_is_read() {
        let header = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let parent = TraceParent::parse(&header).expect("valid");
        assert_eq!(parent.trace_id(), TRACE);
        assert_eq!(parent.span_id(), "00f067aa0ba902b7");
        assert_eq!(parent.to_string(), header);
        assert!(parent.is_sampled());
        let child = parent.child(0xab).to_string();
        assert_eq!(child, format!("00-{TRACE}-00000000000000ab-01"));
    }

    #[test]
    fn of_a_later_version_what_is_known_is_read() {
        for (header, flags) in [("cc", "01-what-else"), ("01", "ff"), ("00", "00")]
            .map(|(version, rest)| (format!("{version}-{TRACE}-00f067aa0ba902b7-{rest}"), rest))
        {
            let parent = TraceParent::parse(&header).expect("valid");
            let kept = match flags {
                "ff" => "03",
                other => &other[..2],
            };
            let expected = format!("00-{TRACE}-00f067aa0ba902b7-{kept}");
            assert_eq!(parent.to_string(), expected);
            assert_eq!(parent.is_sampled(), flags != "00");
        }
    }

    #[test]
    fn what_is_none_is_not_taken_for_one() {
        let zeros = "0".repeat(32);
        for header in [
            "",
            "00",
            "-",
            &format!("00-{TRACE}"),
            &format!("00-{TRACE}-00f067aa0ba902b7"),
            &format!("00-{TRACE}-00f067aa0ba902b7-01-"),
            &format!("00-{TRACE}-00f067aa0ba902b7-01-x"),
            &format!("00-{TRACE}-00f067aa0ba902b7-1"),
            &format!("00-{TRACE}-00f067aa0ba902b7-011"),
            &format!("00-{TRACE}-00f067aa0ba902b7-0g"),
            &format!("00-{TRACE}-0000000000000000-01"),
            &format!("00-{zeros}-00f067aa0ba902b7-01"),
            &format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            &format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            &format!("00-+{}-00f067aa0ba902b7-01", &TRACE[1..]),
            &format!("00-{TRACE}-00f067aa0ba902b7-01, 00-{TRACE}-00f067aa0ba902b7-01"),
        ] {
            assert_eq!(TraceParent::parse(header), None, "{header}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(trace in 1_u128.., span in 1_u64.., child in 1_u64..) {
            let begun = TraceParent::begin(trace, span).child(child);
            prop_assert_eq!(TraceParent::parse(&begun.to_string()), Some(begun));
        }

        #[test]
        fn no_text_is_too_odd(text in "\\PC*") {
            let _ = TraceParent::parse(&text);
        }

        #[test]
        fn whatever_is_read_is_valid_when_written(text in "[0f]{2}-[0f]{32}-[0f]{16}-[0-9a-f]{2}(-.*)?") {
            if let Some(read) = TraceParent::parse(&text) {
                prop_assert_eq!(TraceParent::parse(&read.to_string()), Some(read));
            }
        }
    }
}
