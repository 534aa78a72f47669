//! Types and pure logic that Darkroom's edge and origin share.
//!
//! Nothing here does I/O: time, randomness and ids come in as arguments, so that
//! everything runs the same natively and in WebAssembly, and tests need no luck.
//!
//! A request ([`request`]), with the pictures that it brings along ([`input`]), is checked against
//! its limits ([`limits`]), then completed with a model's defaults ([`model`]) into a recipe
//! ([`recipe`]); a job ([`job`]) makes one picture for each image of it, stored under a key
//! ([`key`]). Callers prove who they are with an API key ([`api_key`], kept as [`keys`] says) or a
//! token ([`jwt`]), which allows what its scopes ([`scope`]) say; and the edge proves to the origin
//! who is calling with a signature ([`signature`]). What goes wrong is a problem document
//! ([`problem`]). OpenAI's images API is told in these terms ([`openai`]).

pub mod api_key;
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
pub mod prefer;
pub mod previews;
pub mod problem;
pub mod recipe;
pub mod request;
pub mod scope;
pub mod signature;
pub mod timestamp;
