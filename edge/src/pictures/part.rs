//! How much of a picture a caller wants: all, a range, or nothing new (RFC 9110, 13 and 14).

/// What to answer a GET with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// 200.
    All,
    /// 206 with these bytes, the last one included.
    Range(u32, u32),
    /// 304.
    Nothing,
    /// 412.
    Other,
    /// 416.
    OutOfRange,
}

/// The headers that decide; empty where they are absent.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    /// `If-Match`
    pub if_match: String,
    /// `If-None-Match`
    pub if_none_match: String,
    /// `If-Range`
    pub if_range: String,
    /// `Range`
    pub range: String,
}

impl Conditions {
    /// Whether all of the picture is wanted, whatever it is.
    pub fn are_none(&self) -> bool {
        let all = [
            &self.if_match,
            &self.if_none_match,
            &self.if_range,
            &self.range,
        ];
        all.iter().all(|header| header.is_empty())
    }

    /// What they ask of a file with this tag and so many bytes; none where that is not known.
    pub fn part_of(&self, etag: &str, length: u32) -> Part {
        if self.are_none() {
            return Part::All;
        }
        let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        let known = || self.if_none_match.split(',').map(weak);
        let wanted = || self.if_match.split(',').map(str::trim);
        if !self.if_match.is_empty() && !wanted().any(|tag| tag == "*" || tag == etag) {
            Part::Other
        } else if known().any(|tag| tag == "*" || tag == weak(etag)) {
            Part::Nothing
        } else if self.if_range.is_empty() || self.if_range == etag {
            range_of(&self.range, length).unwrap_or(Part::All)
        } else {
            Part::All
        }
    }
}

/// `None` for what is no range of bytes, or several: all of the file is then as good an answer.
fn range_of(header: &str, length: u32) -> Option<Part> {
    let (first, last) = header.trim().strip_prefix("bytes=")?.split_once('-')?;
    let (first, last) = match (first, last) {
        ("", count) => (length.saturating_sub(number(count)?), u32::MAX),
        (first, "") => (number(first)?, u32::MAX),
        (first, last) => (number(first)?, number(last)?),
    };
    let end = length.checked_sub(1)?;
    match first {
        _ if last < first => None,
        _ if first <= end => Some(Part::Range(first, last.min(end))),
        _ => Some(Part::OutOfRange),
    }
}

/// No file is as long as the largest number.
fn number(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u32::MAX))
}
