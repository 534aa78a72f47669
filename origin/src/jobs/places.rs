//! Places in a queue of any length: counted near its head, and further back as of a moment ago.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::cause::chain;
use crate::database::{Ahead, Database, DatabaseError, Line, Place};

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
    line: RwLock<Option<Arc<Seen>>>,
    is_reading: AtomicBool,
    /// Jobs accepted here so far.
    accepted: AtomicU64,
}

#[derive(Debug)]
struct Seen {
    line: Line,
    good_for: Duration,
    /// Jobs that had been accepted here before it was read.
    accepted: u64,
}

impl Places {
    /// The places of a database's queue.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self(Arc::new(Known {
            database,
            line: RwLock::default(),
            is_reading: AtomicBool::default(),
            accepted: AtomicU64::default(),
        }))
    }

    /// What is to be done before a place. Exact up to a thousand jobs; beyond, as it was about a
    /// second ago.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn ahead(&self, place: Place) -> Result<Ahead, DatabaseError> {
        let at_work = self.0.database.at_work().await?;
        let waiting = match self.0.database.waiting_before(place).await? {
            Some(waiting) => waiting,
            None => self.seen().await?.line.before(place),
        };
        Ok(at_work.and(waiting))
    }

    /// About how many jobs wait: what others have accepted since the line was read is missing.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn waiting(&self) -> Result<u64, DatabaseError> {
        let seen = self.seen().await?;
        let since = self.0.accepted.load(Ordering::Relaxed) - seen.accepted;
        Ok(seen.line.len() as u64 + since)
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
        let seen = Arc::new(Seen {
            line,
            good_for: FRESH.max(begun.elapsed() * WORTH),
            accepted,
        });
        let mut known = self.line.write().unwrap_or_else(PoisonError::into_inner);
        *known = Some(Arc::clone(&seen));
        Ok(seen)
    }
}
