//! What must be remembered: jobs, the pictures they make, their events, and the nonces seen.
//!
//! `accept` puts a job into the queue, or has it join an equal one (`joining`), and `queue` takes it
//! out, on a lease; `outcome` ends it, `leases` takes back what nobody holds on to, and `checkpoints`
//! are what the next one goes on from. `turns` says in which order jobs are taken up, `waiting` how
//! many come before one, and `deadlines` which are too late. `read` finds jobs, images and events
//! again, `readers` says who else may, and `images` lists them with what they were made of; `delete`
//! takes images away and brings them back; `purge`, `upkeep` and `variants` are what the store's
//! housekeeping goes by, and `history` forgets what nobody asks for any more. `posts` keeps the catalog.
//!
//! Every step that changes a job's status writes its event in the same transaction, so that who
//! reads events never misses or invents one; `notices` tells of those that others write. What
//! callers are to be told of a job's end goes through `outbox`, signed with `signing_secrets`, and
//! stays in the `delivery_log`; what the CDN is to be told, through `invalidations`.
//!
//! The tables are the queue, in `SQLite` or in `PostgreSQL`: `dialect` says what is different, and
//! `connection` that no call waits for ever.

mod accept;
mod address;
mod checkpoints;
mod connection;
mod deadlines;
mod delete;
mod delivery_log;
mod dialect;
mod error;
mod events;
mod history;
mod images;
mod invalidations;
mod joining;
mod leases;
mod nonces;
mod notices;
mod open;
mod outbox;
mod outcome;
mod overview;
mod posts;
mod probe;
mod purge;
mod queue;
mod read;
mod readers;
mod rows;
mod schema;
mod signing_secrets;
mod starts;
mod turns;
mod upkeep;
mod variants;
mod waiting;

pub use accept::{Acceptance, NewImage, NewJob, Room};
pub use address::{Address, AddressError, SqliteFile};
pub use checkpoints::{Checkpoint, CheckpointError, FoundCheckpoint};
pub use delete::{Deleted, Deletion, Remains, Restoring};
pub use error::DatabaseError;
pub use events::{EVENTS_AT_ONCE, StoredEvent};
pub use images::{ListImages, Which};
pub use invalidations::Invalidation;
pub use joining::Joined;
pub use leases::{LEASE, MAX_ATTEMPTS, Tried};
pub use notices::{Notice, Notices};
pub use open::Database;
pub use outbox::{DueDelivery, Verdict};
pub use outcome::{Ended, Stored};
pub use overview::{AccountJob, Changed, JobFilter, QueueDepth};
pub use posts::{OwnPost, PostError};
pub use purge::Doomed;
pub use queue::{Claim, ClaimedImage, ClaimedJob, Lease};
pub use read::StoredJob;
pub use readers::{GivenUp, Reader};
pub use schema::SchemaVersion;
pub use upkeep::Standing;
pub use variants::{StoredVariant, WithoutVariants};
pub use waiting::{Ahead, AtWork, Line, Place, Waiting};
