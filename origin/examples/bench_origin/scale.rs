//! How much of everything: a whole run takes some ten minutes, a quick one about one.

/// The sizes of a run.
pub struct Scale {
    /// Times that what is compared is measured; the median counts.
    pub rounds: usize,
    /// Requests of each kind in a measurement of the door.
    pub requests: usize,
    /// Readers of events.
    pub watchers: usize,
    /// Jobs that they watch, where each watches one of many.
    pub watched: usize,
    /// Jobs in the long queue.
    pub waiting: usize,
    /// Claims, and questions for a place, in each queue.
    pub claims: usize,
    /// Seconds' worth of jobs for each origin of several.
    pub seconds_shared: usize,
    /// Jobs that the memory is looked at over.
    pub jobs: usize,
    /// Pictures in each round beside the peer.
    pub pictures: usize,
}

impl Scale {
    pub const WHOLE: Self = Self {
        rounds: 3,
        requests: 2000,
        watchers: 1000,
        watched: 100,
        waiting: 100_000,
        claims: 1000,
        seconds_shared: 6,
        jobs: 3600,
        pictures: 80,
    };

    pub const QUICK: Self = Self {
        rounds: 1,
        requests: 200,
        watchers: 100,
        watched: 10,
        waiting: 10_000,
        claims: 100,
        seconds_shared: 1,
        jobs: 200,
        pictures: 20,
    };
}
