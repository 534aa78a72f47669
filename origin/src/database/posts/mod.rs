//! Posts: [`list`] finds them, [`write`] makes and changes them, [`image`] finds what they show, and
//! `rows` says how they are stored.
//!
//! A post keeps its image's id, and its address is worked out when the post is read: so a post whose
//! image is deleted shows none, and the very same one again where that comes back.

mod image;
mod list;
mod rows;
mod write;

use super::DatabaseError;
pub use write::OwnPost;

/// Why a post cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// There is none of this name, or it is another account's.
    #[error("there is no such post")]
    NotFound,
    /// It is none of those that the caller means.
    #[error("the post has changed")]
    Changed,
    /// Another one has its slug.
    #[error("the slug is taken")]
    SlugTaken,
    /// This field names no image that the post may have.
    #[error("{0} names no image")]
    NoImage(&'static str),
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<sqlx::Error> for PostError {
    fn from(error: sqlx::Error) -> Self {
        // The only name that callers choose.
        match error.as_database_error() {
            Some(cause) if cause.is_unique_violation() => Self::SlugTaken,
            _ => Self::Database(error.into()),
        }
    }
}
