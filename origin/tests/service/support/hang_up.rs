//! A caller who hangs up at the worst moment.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use sqlx::AnyConnection;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::LIMIT;

struct Woken(Notify);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

/// Lets a call go on step by step until the database says that something is recorded, and drops
/// it there, as a server does when the connection is gone: nothing that it would have done next
/// is done.
pub async fn hang_up_once<T>(
    call: impl Future<Output = T>,
    database: &mut AnyConnection,
    recorded: &'static str,
) {
    let woken = Arc::new(Woken(Notify::new()));
    let waker = Waker::from(Arc::clone(&woken));
    let mut call = pin!(call);
    loop {
        let poll = call.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(poll.is_pending(), "the call was answered first");
        // What it waits for is there; it does not get to know before we have looked.
        timeout(LIMIT, woken.0.notified()).await.expect("woken");
        let recorded: Option<i64> = sqlx::query_scalar(recorded)
            .fetch_optional(&mut *database)
            .await
            .expect("asked");
        if recorded.is_some() {
            return;
        }
    }
}
