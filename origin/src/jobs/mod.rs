//! A job's life: handed in (`accepting`) and watched at the `queue`, taken out of it by the `claimer`,
//! made on the `worker`, carried to the store by `delivery`; `checkpoints` are what is left of a run
//! that breaks off.
//!
//! The database is the truth: the queue, the worker and deliveries know of each other only
//! through it, through `changes` that say "look again", and through `running`, the flag
//! that ends a run early. The worker has a job on a lease, which the `heartbeat` renews; what other
//! machines do with jobs of the same database is heard by `following`.

mod accepting;
mod changes;
mod checkpoints;
mod claimer;
mod deadlines;
mod delivery;
mod endings;
mod following;
mod heartbeat;
mod pace;
mod pause;
mod phase;
mod places;
mod progress;
mod queue;
mod running;
mod worker;

pub use accepting::{AcceptError, Accepted, Order};
pub use changes::{Changes, Watch};
pub use checkpoints::{Checkpoints, Saver};
pub use claimer::{Ahead, Claimer, Next};
pub use deadlines::Deadlines;
pub use delivery::{Delivery, Task};
pub use endings::Endings;
pub use following::Following;
pub use heartbeat::Heartbeat;
pub use pace::Pace;
pub use phase::{Phase, Rounds};
pub use places::Places;
pub use progress::{Preview, Progress};
pub use queue::{JobQueue, JobQueueOptions};
pub use running::{AtWork, Running};
pub use worker::{EngineFailure, EngineState, Worker};
