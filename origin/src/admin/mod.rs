//! The operator's door, on a listener of its own that by default only this machine reaches:
//! nothing here asks who calls.

mod docs;
mod metrics;

use axum::Router;
use axum::routing::get;

use crate::database::Database;
use crate::metrics::Metrics;

/// What the routes look at. Clones share it.
#[derive(Clone, Debug)]
pub struct Admin {
    /// For the queue's depth.
    pub database: Database,
    /// What was counted.
    pub metrics: Metrics,
}

/// Every route.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/metrics", get(metrics::show))
        .merge(docs::routes())
        .with_state(admin)
}
