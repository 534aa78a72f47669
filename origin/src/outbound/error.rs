//! Why a server had no answer.

use std::error::Error;
use std::iter::successors;

use super::resolver::NotAllowed;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The server is nowhere that the service may reach.
    #[error("the address is not one that may be reached")]
    NotAllowed,
    /// The name does not resolve, or nothing takes the connection.
    #[error("the server cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// It took too long.
    #[error("the server did not answer in time")]
    TimedOut,
    /// The connection broke off.
    #[error("the connection broke off")]
    Interrupted(#[source] reqwest::Error),
    /// There is more than was wanted.
    #[error("there are more than {most} bytes")]
    TooLarge {
        /// How many were.
        most: usize,
    },
}

impl From<reqwest::Error> for OutboundError {
    /// Without the address, which may hold secrets of the caller's.
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut causes = successors(error.source(), |&cause| cause.source());
        if causes.any(<dyn Error>::is::<NotAllowed>) {
            Self::NotAllowed
        } else if error.is_timeout() {
            Self::TimedOut
        } else if error.is_connect() {
            Self::Unreachable(error)
        } else {
            Self::Interrupted(error)
        }
    }
}
