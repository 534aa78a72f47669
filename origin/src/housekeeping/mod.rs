//! What happens to pictures after they are made, beside all requests: deleted ones leave the store
//! (`purge`), or come back, old ones are deleted (`keeper`), smaller copies are made (`variants`,
//! `copies`, `avif`), the CDN is told what it is to forget (`invalidator`), and now and then store and
//! database are compared (`reconcile`).
//!
//! Everything here begins with a row that says what is to be done, and ends with one that says that
//! it was: a process that dies in between leaves the work to the next, here or elsewhere.

mod avif;
mod copies;
mod invalidator;
mod keeper;
mod purge;
mod reconcile;
mod variants;

pub use copies::COPY_FORMATS;
pub use invalidator::Invalidator;
pub use keeper::{Keeper, KeeperOptions};
pub use purge::{Purge, Restored};
pub use reconcile::{GRACE, HousekeepingError, Reconciler, Report, Scope};
pub use variants::VariantMaker;
