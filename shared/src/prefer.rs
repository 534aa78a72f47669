//! How long a caller is willing to wait: the `Prefer` header (RFC 7240).

/// How long a generate call waits unless told.
pub const DEFAULT_WAIT_SECONDS: u32 = 60;
/// The longest wait that is granted: proxies on the way give up at 100 seconds.
pub const MAX_WAIT_SECONDS: u32 = 90;

/// What a caller prefers. Preferences that are not known here, or cannot be read, count as
/// absent, as the RFC has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prefer {
    /// Rather an "accepted" than a wait; with a wait, after that.
    pub respond_async: bool,
    /// Wait this many seconds, [`MAX_WAIT_SECONDS`] at most.
    pub wait: Option<u32>,
}

impl Prefer {
    /// Reads the header's value; several headers are joined by commas. The first of two equal
    /// preferences counts.
    #[must_use]
    pub fn parse(header: &str) -> Self {
        let mut prefer = Self::default();
        for preference in header.split(',') {
            // Parameters after a semicolon mean nothing to the two preferences known here.
            let preference = preference.split(';').next().unwrap_or_default();
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "respond-async" => prefer.respond_async = true,
                "wait" if prefer.wait.is_none() => {
                    let wait = value.parse::<u64>().ok();
                    prefer.wait = wait.map(|wait| wait.min(MAX_WAIT_SECONDS.into()) as u32);
                }
                _ => {}
            }
        }
        prefer
    }

    /// Seconds to wait before the answer becomes "accepted".
    #[must_use]
    pub fn wait_seconds(self) -> u32 {
        let unless_told = if self.respond_async {
            0
        } else {
            DEFAULT_WAIT_SECONDS
        };
        self.wait.unwrap_or(unless_told)
    }

    /// The header's value that says the same, where there is something to say.
    #[must_use]
    pub fn to_header(self) -> Option<String> {
        let wait = self.wait.map(|wait| format!("wait={wait}"));
        match (self.respond_async, wait) {
            (false, wait) => wait,
            (true, None) => Some("respond-async".to_owned()),
            (true, Some(wait)) => Some(format!("respond-async, {wait}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_wait_is_read_and_bounded() {
        for (header, wait) in [
            ("", 60),
            ("wait=5", 5),
            ("Wait = \"7\"; x=y", 7),
            ("handling=lenient, wait=8, wait=9", 8),
            ("wait=100000", 90),
            ("wait=99999999999999999999", 60),
            ("wait=0", 0),
            ("Respond-Async", 0),
            ("respond-async, wait=10", 10),
            ("wait=soon", 60),
            ("wait=-1", 60),
            ("wait", 60),
        ] {
            assert_eq!(Prefer::parse(header).wait_seconds(), wait, "{header}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_as_the_same(header in ".*") {
            let prefer = Prefer::parse(&header);
            let written = prefer.to_header().unwrap_or_default();
            prop_assert_eq!(Prefer::parse(&written), prefer);
        }
    }
}
