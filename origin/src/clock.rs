//! The wall clock: read at the edges, handed to everything else as an argument.

use darkroom_shared::timestamp::UnixMillis;

/// The moment it is now.
#[must_use]
pub fn now() -> UnixMillis {
    jiff::Timestamp::now().as_millisecond()
}
