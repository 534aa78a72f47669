//! Types and pure logic that Darkroom's edge and origin share.
//!
//! Nothing here does I/O: time, randomness and ids come in as arguments, so that
//! everything runs the same natively and in WebAssembly, and tests need no luck.
//!
//! A request ([`request`]), with the pictures that it brings along ([`input`]), is checked against
//! its limits ([`limits`]), then completed with a model's defaults ([`model`]) into a recipe
//! ([`recipe`]); a job ([`job`]) makes one picture for each image of it, stored under a key
//! ([`key`]), and is made anew with changes ([`changes`]). Callers prove who they are with an API key ([`api_key`], kept as [`keys`] says) or a
//! token ([`jwt`]), which allows what its scopes ([`scope`]) say and as much as its allowance
//! ([`allowance`]); they may say how long they wait ([`prefer`]) and when they need their pictures
//! ([`deadline`]). The edge proves to the origin who is calling with a signature ([`signature`]), in
//! the course of a trace ([`trace`]), asking whichever origin is well ([`origins`]). Private pictures
//! are fetched with signed URLs ([`signed_url`]). Pages of other sites may call where that is allowed
//! ([`cors`]). Posts ([`posts`]) are texts with a picture. Servers that callers name are asked where
//! they may be ([`outside`]), and told how jobs end ([`webhook`]). What goes wrong is a problem
//! document ([`problem`]). OpenAI's images API is told in
//! these terms ([`openai`]).

// Nothing here may panic: in the edge that would end the wasm instance, and with it every request
// that it has.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::disallowed_methods,
        clippy::expect_used,
        clippy::get_unwrap,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unimplemented,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

pub mod allowance;
pub mod api_key;
pub mod changes;
pub mod cors;
pub mod deadline;
mod fields;
pub mod input;
pub mod job;
pub mod jwt;
pub mod kept;
pub mod key;
pub mod keys;
pub mod limits;
pub mod model;
pub mod openai;
#[cfg(feature = "openapi")]
#[cfg_attr(
    not(test),
    expect(
        clippy::indexing_slicing,
        reason = "of JSON objects made on the spot; no Worker has this"
    )
)]
pub mod openapi;
pub mod origins;
pub mod outside;
pub mod posts;
pub mod prefer;
pub mod previews;
pub mod priority;
pub mod problem;
pub mod recipe;
pub mod request;
pub mod scope;
pub mod signature;
pub mod signed_url;
pub mod timestamp;
pub mod trace;
pub mod webhook;
