//! Moments as the API writes them: RFC 3339 in UTC, to the millisecond.

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Deserializer, Serializer};

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type UnixMillis = i64;

/// The first moment of the year 0, and the last one of the year 9999: what RFC 3339 can write.
const RANGE: (UnixMillis, UnixMillis) = (-62_167_219_200_000, 253_402_300_799_999);

/// Writes a moment as RFC 3339, for example `2026-01-31T12:00:00.000Z`.
///
/// Moments outside the years 0 to 9999 are written as the nearest end of that range.
#[must_use]
pub fn to_rfc3339(at: UnixMillis) -> String {
    let clamped = at.clamp(RANGE.0, RANGE.1);
    let moment = DateTime::from_timestamp_millis(clamped).unwrap_or_default();
    moment.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Reads an RFC 3339 moment.
///
/// # Errors
/// [`NoMoment`].
pub fn from_rfc3339(text: &str) -> Result<UnixMillis, NoMoment> {
    let moment = DateTime::parse_from_rfc3339(text).map_err(|_| NoMoment)?;
    Ok(moment.timestamp_millis())
}

/// A text is no RFC 3339 moment. What the parser says of it takes more room in the edge than the
/// parser does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a moment such as 2026-01-31T12:00:00Z")]
pub struct NoMoment;

/// `#[serde(with = "timestamp::rfc3339")]`
pub mod rfc3339 {
    use super::{Deserialize, Deserializer, Serializer, UnixMillis, from_rfc3339, to_rfc3339};

    /// Writes RFC 3339.
    ///
    /// # Errors
    /// The serializer's own.
    pub fn serialize<S: Serializer>(at: &UnixMillis, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&to_rfc3339(*at))
    }

    /// Reads RFC 3339.
    ///
    /// # Errors
    /// A text that is no moment.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<UnixMillis, D::Error> {
        from_rfc3339(&String::deserialize(from)?).map_err(serde::de::Error::custom)
    }

    /// The same for `Option<UnixMillis>`.
    pub mod option {
        use super::{Deserialize, Deserializer, Serializer, UnixMillis, from_rfc3339};

        /// Writes RFC 3339 or null.
        ///
        /// # Errors
        /// The serializer's own.
        pub fn serialize<S: Serializer>(at: &Option<UnixMillis>, to: S) -> Result<S::Ok, S::Error> {
            match at {
                Some(at) => super::serialize(at, to),
                None => to.serialize_none(),
            }
        }

        /// Reads RFC 3339 or null.
        ///
        /// # Errors
        /// A text that is no moment.
        pub fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<UnixMillis>, D::Error> {
            Option::<String>::deserialize(from)?
                .map(|text| from_rfc3339(&text).map_err(serde::de::Error::custom))
                .transpose()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc_to_the_millisecond() {
        assert_eq!(to_rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(to_rfc3339(1_769_860_800_123), "2026-01-31T12:00:00.123Z");
        assert_eq!(
            from_rfc3339("2026-01-31T13:00:00.123+01:00").ok(),
            Some(1_769_860_800_123)
        );
        assert!(from_rfc3339("yesterday").is_err());
    }
}
