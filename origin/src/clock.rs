//! The wall clock: read at the edges, handed to everything else as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

use darkroom_shared::timestamp::UnixMillis;

/// The moment it is now.
#[must_use]
pub fn now() -> UnixMillis {
    unix_millis(SystemTime::now())
}

/// A moment as everything else has it; one before 1970 is 1970.
#[must_use]
pub fn unix_millis(at: SystemTime) -> UnixMillis {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis().try_into().unwrap_or(UnixMillis::MAX)
}
