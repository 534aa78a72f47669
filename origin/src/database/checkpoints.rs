//! How far the picture of a job has come, so that whoever takes the job up next goes on from there.
//!
//! They are here and not beside the spool because the machine that made a state is mostly not the one
//! that goes on: it is the one that was taken away. There is one of each job at most.

use darkroom_shared::timestamp::UnixMillis;
use sha2::{Digest as _, Sha256};

use super::connection::Connection;
use super::{Database, DatabaseError, Lease, events, leases};

/// A run between two steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The image that is being made.
    pub image: String,
    /// Steps done, over all of the job's images.
    pub step: u32,
    /// [`Engine::numbers`](crate::engine::Engine::numbers) of whoever made it.
    pub numbers: String,
    /// [`Step::state`](crate::engine::Step::state).
    pub state: Vec<u8>,
}

/// Why a checkpoint is not gone on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Its bytes are not those that were written.
    #[error("it is damaged")]
    Damaged,
    /// Other weights, another version or another device.
    #[error("another model, version or device made it")]
    Foreign,
}

/// A checkpoint as it was found.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct FoundCheckpoint {
    #[sqlx(rename = "image_id")]
    image: String,
    #[sqlx(try_from = "i64")]
    step: u32,
    numbers: String,
    state: Vec<u8>,
    sha256: Vec<u8>,
}

impl FoundCheckpoint {
    /// Whether it is of this image; others of the job have begun from noise.
    #[must_use]
    pub fn is_of(&self, image: &str) -> bool {
        self.image == image
    }

    /// Steps done, over all of the job's images.
    #[must_use]
    pub fn step(&self) -> u32 {
        self.step
    }

    /// The state, for an engine of these `numbers`.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn state(&self, numbers: Option<&str>) -> Result<&[u8], CheckpointError> {
        if Sha256::digest(&self.state).as_slice() != self.sha256 {
            return Err(CheckpointError::Damaged);
        }
        if numbers != Some(&self.numbers) {
            return Err(CheckpointError::Foreign);
        }
        Ok(&self.state)
    }
}

/// A job's checkpoint.
pub(super) async fn get(
    connection: &mut Connection,
    job: &str,
) -> Result<Option<FoundCheckpoint>, DatabaseError> {
    let found = sqlx::query_as(
        "SELECT image_id, step, numbers, state, sha256 FROM job_checkpoints WHERE job_id = $1",
    )
    .bind(job)
    .fetch_optional(connection)
    .await?;
    Ok(found)
}

/// Forgets a job's checkpoint.
pub(super) async fn remove(connection: &mut Connection, job: &str) -> Result<(), DatabaseError> {
    sqlx::query("DELETE FROM job_checkpoints WHERE job_id = $1")
        .bind(job)
        .execute(connection)
        .await?;
    Ok(())
}

impl Database {
    /// Keeps a checkpoint in place of the job's earlier one. False where the job was claimed by
    /// another since, or has ended, or is further already. One that was just handed back still takes
    /// it: who hands back may write this last.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn keep_checkpoint(
        &self,
        lease: &Lease,
        checkpoint: &Checkpoint,
    ) -> Result<bool, DatabaseError> {
        let mut transaction = self.write().await?;
        if !leases::lock(&mut transaction, lease).await? {
            return Ok(false);
        }
        let kept = sqlx::query(
            "INSERT INTO job_checkpoints (job_id, token, image_id, step, numbers, state, sha256)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (job_id) DO UPDATE SET
                token = excluded.token, image_id = excluded.image_id, step = excluded.step,
                numbers = excluded.numbers, state = excluded.state, sha256 = excluded.sha256
             WHERE job_checkpoints.token < excluded.token OR job_checkpoints.step < excluded.step",
        )
        .bind(&lease.job)
        .bind(lease.token)
        .bind(&checkpoint.image)
        .bind(i64::from(checkpoint.step))
        .bind(&checkpoint.numbers)
        .bind(&checkpoint.state)
        .bind(Sha256::digest(&checkpoint.state).as_slice())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(kept.rows_affected() == 1)
    }

    /// Forgets the checkpoint of a job that begins anew, and the steps that are lost with it. False
    /// where the lease no longer holds.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn drop_checkpoint(
        &self,
        lease: &Lease,
        now: UnixMillis,
    ) -> Result<bool, DatabaseError> {
        let mut transaction = self.write().await?;
        let held = sqlx::query(
            "UPDATE jobs SET step = 0 WHERE id = $1 AND token = $2 AND status = 'running'",
        )
        .bind(&lease.job)
        .bind(lease.token)
        .execute(&mut *transaction)
        .await?;
        let held = held.rows_affected() == 1;
        if held {
            remove(&mut transaction, &lease.job).await?;
            events::append(&mut transaction, &lease.job, events::PROGRESS, now).await?;
        }
        transaction.commit().await?;
        Ok(held)
    }
}
