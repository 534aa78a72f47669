//! Randomness, all of it from the runtime's cryptographic source.

use std::cell::RefCell;

use darkroom_shared::problem::Code;
use darkroom_shared::timestamp::UnixMillis;
use darkroom_shared::trace::TraceParent;
use uuid::Uuid;

use crate::failure::Failure;
use crate::log;

/// A new request's id. Nil where there is no randomness: the failure of something that needs
/// it still has to be answered.
pub fn request_id() -> Uuid {
    bytes().map_or(Uuid::nil(), |bytes| {
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    })
}

/// What makes a signature unlike all others.
pub fn nonce() -> Result<String, Failure> {
    Ok(hex::encode(bytes::<16>()?))
}

/// What an API key is made of.
pub fn key_bytes() -> Result<[u8; 32], Failure> {
    bytes()
}

/// An id (a UUID of version 7) that sorts after those made before `now`.
pub fn sortable_id(now: UnixMillis) -> Result<String, Failure> {
    let millis = now.unsigned_abs();
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &bytes()?).into_uuid();
    Ok(id.to_string())
}

/// One of many equally good choices.
pub fn draw() -> Result<u32, Failure> {
    Ok(u32::from_le_bytes(bytes()?))
}

/// A new trace's id. It is never zero, which would be none.
pub fn trace_id() -> u128 {
    bytes().map_or(1, u128::from_le_bytes).max(1)
}

/// A new span's id. It is never zero either.
pub fn span_id() -> u64 {
    bytes().map_or(1, u64::from_le_bytes).max(1)
}

/// The beginning of a trace, for what the edge does of itself.
pub fn trace() -> TraceParent {
    TraceParent::begin(trace_id(), span_id())
}

/// A seed: 53 bits, which every JSON reader keeps exact.
pub fn seed() -> Result<u64, Failure> {
    Ok(u64::from_le_bytes(bytes()?) >> 11)
}

thread_local! {
    /// Drawn and not used yet: to ask the runtime costs the same for many bytes as for a few.
    static DRAWN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}
/// Drawn at once: what ten requests need.
const AT_ONCE: usize = 512;

fn bytes<const N: usize>() -> Result<[u8; N], Failure> {
    DRAWN.with_borrow_mut(|drawn| {
        if drawn.len() < N {
            drawn.resize(AT_ONCE.max(N), 0);
            if let Err(error) = getrandom::fill(drawn) {
                drawn.clear();
                log::error("", format_args!("no randomness: {error}"));
                let detail = "the edge has no source of randomness";
                return Err(Failure::new(Code::Internal, detail));
            }
        }
        let left = drawn.len().saturating_sub(N);
        let last = drawn.split_at_checked(left).map(|(_, last)| last);
        let bytes = last.and_then(|last| last.try_into().ok());
        drawn.truncate(left);
        bytes.ok_or_else(|| Failure::new(Code::Internal, "the edge drew too little"))
    })
}
