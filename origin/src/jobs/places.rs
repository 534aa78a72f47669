//! Places in a queue of any length: counted near its head, and further back as of a moment ago. And
//! how full it is, in the same way.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::cause::chain;
use crate::database::{Database, DatabaseError, Line, Place, Room, Waiting};

/// Up to here a limit is kept to the job; a longer queue is only counted now and then.
const EXACT_LIMIT: u32 = 1000;
/// How long the line is good for.
const FRESH: Duration = Duration::from_secs(1);
/// It is good for at least so many times the time that it takes to read.
const WORTH: u32 = 20;

/// Tells places. Clones share what they know.
#[derive(Clone, Debug)]
pub struct Places(Arc<Known>);

#[derive(Debug)]
struct Known {
    database: Database,
    limits: Room,
    line: RwLock<Option<Arc<Seen>>>,
    is_reading: AtomicBool,
    /// Jobs accepted here so far.
    accepted: AtomicU64,
}

#[derive(Debug)]
struct Seen {
    line: Line,
    /// Accounts that have as many jobs in it as they may.
    crowding: HashSet<String>,
    good_for: Duration,
    /// Jobs that had been accepted here before it was read.
    accepted: u64,
}

impl Places {
    /// The places of a database's queue, which has room for so many.
    #[must_use]
    pub fn new(database: Database, limits: Room) -> Self {
        Self(Arc::new(Known {
            database,
            limits,
            line: RwLock::default(),
            is_reading: AtomicBool::default(),
            accepted: AtomicU64::default(),
        }))
    }

    /// What waits before a place. Exact up to a thousand jobs; beyond, as it was about a second
    /// ago.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn before(&self, place: Place) -> Result<Waiting, DatabaseError> {
        match self.0.database.waiting_before(place).await? {
            Some(waiting) => Ok(waiting),
            None => Ok(self.seen().await?.line.before(place)),
        }
    }

    /// The room that is left to be checked when a job is recorded: any beyond what is worth counting
    /// each time, or none where that was full a moment ago.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn room(&self, account: &str) -> Result<Room, DatabaseError> {
        let mut room = self.0.limits;
        let is_counted_later = |limit| limit != u32::MAX && limit > EXACT_LIMIT;
        // A job that is on record already is answered all the same.
        let left = |is_full| if is_full { 0 } else { u32::MAX };
        if is_counted_later(room.all) {
            let seen = self.seen().await?;
            // What others have accepted since the line was read is missing.
            let since = self.0.accepted.load(Ordering::Relaxed) - seen.accepted;
            room.all = left(seen.line.len() as u64 + since >= u64::from(room.all));
        }
        if is_counted_later(room.account) {
            room.account = left(self.seen().await?.crowding.contains(account));
        }
        Ok(room)
    }

    /// Takes in that a job was accepted here.
    pub fn accepted(&self) {
        self.0.accepted.fetch_add(1, Ordering::Relaxed);
    }

    /// The line as it was last read. Only who needs it first waits for it to be read.
    async fn seen(&self) -> Result<Arc<Seen>, DatabaseError> {
        let seen = self.0.line.read();
        let seen = seen.unwrap_or_else(PoisonError::into_inner).clone();
        let Some(seen) = seen else {
            return self.0.read().await;
        };
        if seen.line.read_at.elapsed() > seen.good_for
            && !self.0.is_reading.swap(true, Ordering::AcqRel)
        {
            let known = Arc::clone(&self.0);
            tokio::spawn(async move {
                if let Err(error) = known.read().await {
                    tracing::warn!(error = chain(&error), "the queue's line was not read");
                }
                known.is_reading.store(false, Ordering::Release);
            });
        }
        Ok(seen)
    }
}

impl Known {
    async fn read(&self) -> Result<Arc<Seen>, DatabaseError> {
        let accepted = self.accepted.load(Ordering::Relaxed);
        let begun = Instant::now();
        let line = self.database.line().await?;
        let crowding = match self.limits.account {
            // Counted when it is asked for.
            0..=EXACT_LIMIT | u32::MAX => HashSet::new(),
            limit => self.database.crowding(limit).await?,
        };
        let seen = Arc::new(Seen {
            line,
            crowding,
            good_for: FRESH.max(begun.elapsed() * WORTH),
            accepted,
        });
        let mut known = self.line.write().unwrap_or_else(PoisonError::into_inner);
        *known = Some(Arc::clone(&seen));
        Ok(seen)
    }
}
