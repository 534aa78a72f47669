//! An issuer's keys, kept in the isolate.
//!
//! They are fetched when they are first needed, when they are old, and when a token names a key
//! that is not among them: but whoever makes up names does not make us ask again more often than
//! every half minute. Keys that were fetched once go on working while their issuer is down.

use std::cell::RefCell;

use darkroom_shared::jwt::{JwtError, KeySet, PublicKey, Token};
use darkroom_shared::problem::Code;
use darkroom_shared::timestamp::UnixMillis;

use super::{fetching, refused};
use crate::call::{Call, now};
use crate::failure::Failure;
use crate::log;
use crate::settings::Issuer;

/// How long keys are good without another look.
const FRESH_MILLIS: UnixMillis = 600_000;
/// The least between a second look and a third.
const BETWEEN_MILLIS: UnixMillis = 30_000;
/// The same after one that failed.
const RETRY_MILLIS: UnixMillis = 5_000;

/// What is known of the issuer's keys.
#[derive(Clone, Default)]
struct Known {
    keys: Option<KeySet>,
    fetched_at: UnixMillis,
    /// Before this moment nobody asks again.
    not_before: UnixMillis,
    /// Whether the last look brought nothing, or has not ended yet.
    is_uncertain: bool,
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

/// The key that must have signed a token.
pub(super) async fn key_for(
    call: &Call,
    issuer: &Issuer,
    token: &Token,
) -> Result<PublicKey, Failure> {
    let known = KNOWN.with_borrow(Clone::clone);
    let found = choose(&known, token);
    let is_fresh = now() - known.fetched_at < FRESH_MILLIS;
    match found {
        Ok(key) if is_fresh => return Ok(key),
        Err(JwtError::KeyConfusion) if is_fresh => return Err(refused(JwtError::KeyConfusion)),
        _ if now() < known.not_before => return settled(found, known.is_uncertain),
        _ => {}
    }
    // Where there are keys, one asks for all. Who has none yet asks for itself: a request
    // cannot wait for what another one began.
    if known.keys.is_some() {
        put_off(RETRY_MILLIS);
    }
    match fetching::key_set(&issuer.key_set_url).await {
        Ok(keys) => {
            let not_before = match known.keys {
                Some(_) => now() + BETWEEN_MILLIS,
                None => 0,
            };
            let fetched = Known {
                keys: Some(keys),
                fetched_at: now(),
                not_before,
                is_uncertain: false,
            };
            let found = choose(&fetched, token);
            KNOWN.set(fetched);
            settled(found, false)
        }
        Err(reason) => {
            let message = format_args!("the keys at JWT_JWKS_URL: {reason}");
            log::error(&call.request_id, message);
            put_off(RETRY_MILLIS);
            settled(found, true)
        }
    }
}

fn choose(known: &Known, token: &Token) -> Result<PublicKey, JwtError> {
    let keys = known.keys.as_ref().ok_or(JwtError::UnknownKey)?;
    keys.choose(token).cloned()
}

fn put_off(millis: UnixMillis) {
    KNOWN.with_borrow_mut(|known| {
        known.not_before = now() + millis;
        known.is_uncertain = true;
    });
}

/// A key that is not known while the issuer cannot be asked may yet be a good one.
fn settled(found: Result<PublicKey, JwtError>, is_uncertain: bool) -> Result<PublicKey, Failure> {
    found.map_err(|error| match error {
        JwtError::UnknownKey if is_uncertain => Failure::new(
            Code::Unavailable,
            "the issuer's keys cannot be had at present",
        ),
        error => refused(error),
    })
}
