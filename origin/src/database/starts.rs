//! What jobs begin with, kept as long as they have not ended.

use darkroom_shared::recipe::Recipe;

use super::DatabaseError;
use super::connection::Connection;
use crate::engine::{Picture, Start};

/// Keeps what a job begins with.
pub(super) async fn put(
    connection: &mut Connection,
    job: &str,
    start: &Start,
) -> Result<(), DatabaseError> {
    sqlx::query("INSERT INTO job_starts (job_id, image, mask) VALUES ($1, $2, $3)")
        .bind(job)
        .bind(&start.image.rgb)
        .bind(&start.mask)
        .execute(connection)
        .await?;
    Ok(())
}

/// What a job begins with, `None` for noise alone.
pub(super) async fn get(
    connection: &mut Connection,
    job: &str,
    recipe: &Recipe,
) -> Result<Option<Start>, DatabaseError> {
    let row: Option<(Vec<u8>, Option<Vec<u8>>)> =
        sqlx::query_as("SELECT image, mask FROM job_starts WHERE job_id = $1")
            .bind(job)
            .fetch_optional(connection)
            .await?;
    Ok(row.map(|(rgb, mask)| Start {
        image: Picture {
            width: recipe.width,
            height: recipe.height,
            rgb,
        },
        mask,
    }))
}

/// Forgets what a job began with.
pub(super) async fn remove(connection: &mut Connection, job: &str) -> Result<(), DatabaseError> {
    sqlx::query("DELETE FROM job_starts WHERE job_id = $1")
        .bind(job)
        .execute(connection)
        .await?;
    Ok(())
}
