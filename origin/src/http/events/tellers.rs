//! All who watch one job hear one teller, which reads for them: what an event costs the database
//! is the same for a thousand as for one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast::{self, Receiver, Sender};

use super::story::{Story, Told};
use crate::cause::chain;
use crate::jobs::Watch;

/// Events that a reader may be behind before it has to read for itself.
const BACKLOG: usize = 32;

/// An account, of whose right to the job a teller reads, and the job.
type Key = (String, String);

/// Those who read jobs' events in this process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Tellers(Arc<Mutex<HashMap<Key, Sender<Arc<Told>>>>>);

/// Reads the events of one job for one account, as long as anybody listens.
struct Teller {
    tellers: Tellers,
    sender: Sender<Arc<Told>>,
    story: Story,
    watch: Watch,
}

impl Tellers {
    /// What happens to a job from here on. `story` has come to the last event that was there when
    /// `watch` had begun: the first who listens brings the teller along.
    pub(super) fn hear(&self, story: &Story, watch: Watch) -> Receiver<Arc<Told>> {
        let mut tellers = self.lock();
        let key = (story.account.clone(), story.id.clone());
        if let Some(sender) = tellers.get(&key) {
            return sender.subscribe();
        }
        let (sender, receiver) = broadcast::channel(BACKLOG);
        tellers.insert(key, sender.clone());
        story.app.metrics.watching.begun();
        let teller = Teller {
            tellers: self.clone(),
            sender,
            story: story.clone(),
            watch,
        };
        tokio::spawn(teller.tell());
        receiver
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Sender<Arc<Told>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Teller {
    async fn tell(mut self) {
        loop {
            tokio::select! {
                () = self.watch.changed() => if self.read().await.is_none() {
                    return;
                },
                () = self.sender.closed() => if self.is_unheard() {
                    return;
                },
            }
        }
    }

    /// Tells what has happened since; `None` where that was all, or nothing can be read.
    async fn read(&mut self) -> Option<()> {
        loop {
            let chapter = self.story.go_on().await.inspect_err(|error| {
                let job = &self.story.id;
                tracing::error!(job, error = chain(error), "a job's events cannot be read");
            });
            let chapter = chapter.ok()?;
            for told in chapter.told {
                // Nobody listening is no error.
                drop(self.sender.send(told));
            }
            match (chapter.is_last, chapter.goes_on) {
                (true, _) => return None,
                (false, false) => return Some(()),
                (false, true) => {}
            }
        }
    }

    /// Whether nobody listens, in which case nobody begins to.
    fn is_unheard(&self) -> bool {
        let mut tellers = self.tellers.lock();
        let is_unheard = self.sender.receiver_count() == 0;
        if is_unheard {
            self.forget(&mut tellers);
        }
        is_unheard
    }

    fn forget(&self, tellers: &mut HashMap<Key, Sender<Arc<Told>>>) {
        let key = (self.story.account.clone(), self.story.id.clone());
        // Another may have begun since.
        let is_this = |sender: &Sender<_>| sender.same_channel(&self.sender);
        if tellers.get(&key).is_some_and(is_this) {
            tellers.remove(&key);
            self.story.app.metrics.watching.ended();
        }
    }
}

impl Drop for Teller {
    /// However it ends: who listens then is told so, and who comes next begins anew.
    fn drop(&mut self) {
        let tellers = self.tellers.clone();
        self.forget(&mut tellers.lock());
    }
}
