//! What is said between handlers and a key's ledger.

use darkroom_shared::allowance::{Allowance, Left};
use serde::{Deserialize, Serialize};

/// What a handler says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Message {
    /// Take one request, and a job's images with it.
    Take {
        /// What the key is held to.
        allowance: Allowance,
        /// None for a request that makes no images.
        job: Option<NewJob>,
    },
    /// A job came to an end, as far as the handler can tell.
    Ended {
        /// Its id.
        job: String,
        /// What became of it.
        end: End,
    },
}

/// What became of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Its images were made, and stay taken.
    Made,
    /// They never will be.
    NotMade,
    /// Nobody can tell: it may have been accepted. Its images are given back, and are taken again
    /// should they turn out to be made.
    Unknown,
}

/// The images of a job that is about to be handed in.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct NewJob {
    /// The job's id.
    pub id: String,
    /// Whose it will be: the origin tells nobody else what became of it.
    pub account: String,
    /// How many images.
    pub images: u32,
}

/// What the ledger answers to [`Message::Take`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Balance {
    /// Why nothing was taken.
    pub refused: Option<Refused>,
    /// What is left of the requests.
    pub requests: Left,
    /// What is left of the images.
    pub images: Left,
}

/// What there is too little of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Refused {
    /// Requests.
    Requests,
    /// Images. The request was taken all the same: what needs no new image may go on.
    Images,
}
