//! One answer for all who ask at the same time: anybody may ask whether a service is ready, and must
//! not keep those from the database who have work to do there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::DatabaseError;

type Answer = Result<(), Arc<DatabaseError>>;

/// What came of the last look.
#[derive(Debug)]
pub(super) struct Probe {
    /// How long a good answer is everybody's. A bad one is only theirs who asked before it came.
    good_for: Duration,
    last: Mutex<Option<(Instant, Answer)>>,
}

impl Probe {
    pub(super) fn new(good_for: Duration) -> Self {
        Self {
            good_for,
            last: Mutex::default(),
        }
    }

    /// What `look` comes to, or came to a moment ago.
    pub(super) async fn ask(
        &self,
        look: impl Future<Output = Result<(), DatabaseError>>,
    ) -> Answer {
        let asked = Instant::now();
        // Held while it is looked: who comes meanwhile hears the same.
        let mut last = self.last.lock().await;
        if let Some((at, answer)) = last.as_ref()
            && (*at >= asked || answer.is_ok() && at.elapsed() < self.good_for)
        {
            return answer.clone();
        }
        let answer = look.await.map_err(Arc::new);
        *last = Some((Instant::now(), answer.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use tokio::task::yield_now;

    use super::*;

    /// How often it is looked where twenty ask at once, and one more after them.
    async fn looks(good_for: Duration, is_well: bool) -> usize {
        let (probe, looks) = (Probe::new(good_for), AtomicUsize::default());
        let look = || async {
            looks.fetch_add(1, Ordering::Relaxed);
            yield_now().await;
            let answer = is_well.then_some(());
            answer.ok_or_else(|| sqlx::Error::PoolTimedOut.into())
        };
        let answers = join_all((0..20).map(|_| probe.ask(look()))).await;
        assert!(answers.iter().all(|answer| answer.is_ok() == is_well));
        assert_eq!(looks.load(Ordering::Relaxed), 1);
        assert_eq!(probe.ask(look()).await.is_ok(), is_well);
        looks.into_inner()
    }

    #[tokio::test]
    async fn who_asks_at_the_same_time_hears_what_one_saw() {
        assert_eq!(looks(Duration::MAX, true).await, 1);
        assert_eq!(looks(Duration::ZERO, true).await, 2);
        assert_eq!(looks(Duration::MAX, false).await, 2);
    }
}
