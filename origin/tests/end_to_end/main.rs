//! The whole of Darkroom, as `scripts/dev` starts it: a prompt goes to the edge in workerd, from
//! there signed to the origin, through the engine into a store, and comes back as a picture.
//!
//! Not part of a plain `cargo test`, since the edge must have been built: run `scripts/test`.

mod agreement;
mod docs;
mod from_pictures;
mod keys;
mod picture;
mod pictures;
mod posts;
mod private;
mod refusals;
mod script;
mod stack;
