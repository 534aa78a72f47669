//! A caller who hangs up at the worst moment.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use tokio::sync::Notify;
use tokio::time::timeout;

use super::LIMIT;

struct Woken(Notify);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

/// Lets a call go on step by step until `happened`, and drops it there, as a server does when
/// the connection is gone: nothing that it would have done next is done.
pub async fn hang_up_once<T, H: Future<Output = bool>>(
    call: impl Future<Output = T>,
    happened: impl Fn() -> H,
) {
    let woken = Arc::new(Woken(Notify::new()));
    let waker = Waker::from(Arc::clone(&woken));
    let mut call = pin!(call);
    loop {
        let poll = call.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(poll.is_pending(), "the call was answered first");
        // What it waits for is there; it does not get to know before we have looked.
        timeout(LIMIT, woken.0.notified()).await.expect("woken");
        if happened().await {
            return;
        }
    }
}
