//! Permits that each account has a few of, so that none takes all that there are for everybody.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use tokio::sync::Semaphore;

/// The permits of all accounts that hold or want one.
pub(crate) struct PerAccount {
    each: usize,
    accounts: LazyLock<Mutex<HashMap<String, Weak<Semaphore>>>>,
}

impl PerAccount {
    pub(crate) const fn new(each: usize) -> Self {
        Self {
            each,
            accounts: LazyLock::new(Mutex::default),
        }
    }

    /// Those of one account. They are never closed, so that there is always one to come.
    pub(crate) fn of(&self, account: &str) -> Arc<Semaphore> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = accounts.get(account).and_then(Weak::upgrade) {
            return own;
        }
        accounts.retain(|_, own| own.strong_count() > 0);
        let own = Arc::new(Semaphore::new(self.each));
        accounts.insert(account.to_owned(), Arc::downgrade(&own));
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_its_own_and_no_others() {
        let permits = PerAccount::new(1);
        let alice = permits.of("alice");
        let held = alice.try_acquire().expect("a permit");
        assert!(permits.of("alice").try_acquire().is_err());
        assert!(permits.of("bob").try_acquire().is_ok());
        drop(held);
        assert!(permits.of("alice").try_acquire().is_ok());
        drop(alice);
        permits.of("carol");
        let left = permits.accounts.lock().expect("no panic").len();
        assert_eq!(left, 1, "nobody is remembered");
    }
}
