//! `GET /api/models`

use axum::Json;
use axum::extract::State;
use darkroom_shared::job::Page;
use darkroom_shared::model::Model;

use super::{ApiError, App};

/// What can be asked for.
pub(super) async fn list(State(app): State<App>) -> Result<Json<Page<Model>>, ApiError> {
    let model = app.model()?;
    Ok(Json(Page {
        items: vec![(*model).clone()],
        next_cursor: None,
    }))
}
