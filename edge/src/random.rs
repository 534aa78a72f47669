//! Randomness, all of it from the runtime's cryptographic source.

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

fn bytes<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        log::error("", format_args!("no randomness: {error}"));
        Failure::new(Code::Internal, "the edge has no source of randomness")
    })?;
    Ok(bytes)
}
