//! OpenAI's images API in terms of ours, as its reference and its official clients have it
//! (<https://platform.openai.com/docs/api-reference/images>).
//!
//! What is asked there ([`asked`], out of JSON or a [`form`]) becomes a generate request and a note
//! of how its answer is to look. The job is followed by its events ([`sse`]), and what comes of it is
//! told as OpenAI does ([`answer`]), and so is what goes wrong ([`error`]).

pub mod answer;
pub mod asked;
pub mod error;
pub mod form;
pub mod sse;

pub use answer::Look;
pub use asked::Asked;

/// Which of the two endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `POST /v1/images/generations`
    Generation,
    /// `POST /v1/images/edits`
    Edit,
}
