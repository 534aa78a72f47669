//! Taking jobs out of the queue, and what is asked about them while they run.

use std::time::Duration;

use darkroom_shared::job::{JobError, Status};
use darkroom_shared::problem::Code;
use darkroom_shared::recipe::Recipe;
use darkroom_shared::timestamp::UnixMillis;
use darkroom_shared::trace::TraceParent;
use sqlx::AssertSqlSafe;

use super::leases::LEASE;
use super::{Database, DatabaseError, Ended, FoundCheckpoint, checkpoints, events, starts, turns};
use crate::engine::Start;

/// What those hold who count jobs at work.
const CLAIM: &str = "claim";
/// A token is so many times the number of the claim, and what chance adds to it.
const CLAIM_NUMBER: i64 = 1 << 32;

/// What a claim took out of the queue.
#[derive(Debug)]
pub enum Claim {
    /// A job to be made.
    Job(Box<ClaimedJob>),
    /// A job that no version like this one wrote: it has failed, so that the next one's turn
    /// comes.
    Unreadable {
        /// Its id.
        job: String,
        /// What the parser says.
        source: serde_json::Error,
        /// False where somebody else ended it meanwhile.
        ended: Ended,
    },
    /// A job whose images were all stored by an earlier claim: it has succeeded.
    Complete {
        /// Its id.
        job: String,
        /// False where somebody else ended it meanwhile.
        ended: Ended,
    },
}

/// The right to a job that a claim gives: until somebody else claims it. Who holds one says so
/// with each word about the job.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The job.
    pub job: String,
    /// Which of the job's claims: each has a higher one than those before. Its lower half is chance:
    /// a claim that a power failure took back may still have its holder, and the next one, of the
    /// same number, must be another.
    pub token: i64,
}

impl Lease {
    /// How many claims of the job there were, with this one.
    #[must_use]
    pub fn claims(&self) -> i64 {
        self.token / CLAIM_NUMBER
    }
}

/// A job that the engine has taken up.
#[derive(Clone, Debug)]
pub struct ClaimedJob {
    /// Which job, and by which right.
    pub lease: Lease,
    /// The caller's label.
    pub task_id: Option<String>,
    /// The recipe of image 0.
    pub recipe: Recipe,
    /// Its images that are not stored yet, in order.
    pub images: Vec<ClaimedImage>,
    /// What they begin with other than noise.
    pub start: Option<Start>,
    /// How far an earlier claim has come with one of them.
    pub checkpoint: Option<FoundCheckpoint>,
    /// Previews of each.
    pub previews: u32,
    /// How long it waited for its first claim; `None` where this is a later one.
    pub waited: Option<Duration>,
    /// Where its spans go on.
    pub trace: Option<TraceParent>,
}

/// An image to be made.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct ClaimedImage {
    /// Its id.
    pub id: String,
    /// Its place in the job.
    #[sqlx(try_from = "i64")]
    pub position: u32,
    /// Its object name.
    #[sqlx(rename = "object_key")]
    pub key: String,
    /// The hash of its own recipe.
    pub recipe_sha256: String,
    /// Its media type.
    pub content_type: String,
}

type ClaimRow = (
    String,
    i64,
    Option<String>,
    String,
    i64,
    UnixMillis,
    Option<String>,
    i64,
);

impl Database {
    /// Claims the job whose turn it is for `holder`, who has it until [`LEASE`] from `now` unless
    /// it renews the lease. Those whose next try is not due yet are passed over, and those of
    /// accounts that have `account_limit` jobs at work; 0 is no limit.
    ///
    /// A power failure may undo it: the job is then in the queue, as it was before. Nothing that
    /// outlives a power failure can say more of it, for that is written later, and takes what was
    /// written before along.
    ///
    /// # Errors
    /// [`DatabaseError`]; the job is still in the queue then, or comes back to it with the end of the
    /// lease.
    pub async fn claim(
        &self,
        holder: &str,
        account_limit: u32,
        now: UnixMillis,
    ) -> Result<Option<Claim>, DatabaseError> {
        let mut transaction = self.write_forgetfully().await?;
        let account = match account_limit {
            0 => None,
            limit => {
                // Two who count at one moment would both find room.
                self.lock(&mut transaction, CLAIM).await?;
                match turns::account(&mut transaction, limit, now).await? {
                    Some(account) => Some(account),
                    None => return Ok(None),
                }
            }
        };
        let of_account = if account.is_some() {
            "AND account = $5"
        } else {
            ""
        };
        let statement = format!(
            "UPDATE jobs SET status = 'running', started_at = $1, attempts = attempts + 1,
                             token = (token / {CLAIM_NUMBER} + 1) * {CLAIM_NUMBER} + $4,
                             lease_holder = $2, lease_until = $3
             WHERE sequence = (SELECT sequence FROM jobs
                               WHERE status = 'queued' AND run_after <= $1 {of_account}
                               ORDER BY turn, sequence LIMIT 1 {})
             RETURNING id, token, task_id, recipe, previews, created_at, traceparent,
                       begun_token",
            self.dialect.skip_locked()
        );
        let mut claim = sqlx::query_as(AssertSqlSafe(statement))
            .bind(now)
            .bind(holder)
            .bind(now + LEASE.as_millis() as i64)
            // Without randomness there are worse troubles.
            .bind(i64::from(getrandom::u32().unwrap_or_default()));
        if let Some(account) = account {
            claim = claim.bind(account);
        }
        let row: Option<ClaimRow> = claim.fetch_optional(&mut *transaction).await?;
        let Some((job, token, task_id, recipe, previews, created_at, trace, begun)) = row else {
            return Ok(None);
        };
        let lease = Lease { job, token };
        // What versions before this one claimed had tokens that were numbers alone.
        let is_first = lease.claims() == 1 && begun == 0;
        let recipe: Recipe = match serde_json::from_str(&recipe) {
            Ok(recipe) => recipe,
            Err(source) => {
                let error = JobError {
                    code: Code::Internal,
                    message: "what was stored of the request cannot be read".to_owned(),
                };
                // An end is told to callers: it is written for good.
                transaction.commit().await?;
                let ended = self.fail(&lease, &error, now).await?;
                let job = lease.job;
                return Ok(Some(Claim::Unreadable { job, source, ended }));
            }
        };
        let images: Vec<ClaimedImage> = sqlx::query_as(
            "SELECT id, position, object_key, recipe_sha256, content_type FROM images
             WHERE job_id = $1 AND stored_at IS NULL ORDER BY position",
        )
        .bind(&lease.job)
        .fetch_all(&mut *transaction)
        .await?;
        if images.is_empty() {
            transaction.commit().await?;
            let ended = self.end_held(&lease, Status::Succeeded, None, now).await?;
            let job = lease.job;
            return Ok(Some(Claim::Complete { job, ended }));
        }
        let start = starts::get(&mut transaction, &lease.job, &recipe).await?;
        let checkpoint = if is_first {
            None
        } else {
            checkpoints::get(&mut transaction, &lease.job).await?
        };
        events::append(&mut transaction, &lease.job, events::PROGRESS, now).await?;
        transaction.commit().await?;
        Ok(Some(Claim::Job(Box::new(ClaimedJob {
            lease,
            task_id,
            recipe,
            images,
            start,
            checkpoint,
            previews: previews as u32,
            waited: is_first
                .then(|| Duration::from_millis(now.saturating_sub(created_at).max(0) as u64)),
            trace: trace.as_deref().and_then(TraceParent::parse),
        }))))
    }

    /// Records that a claimed job is begun, which a machine that dies with it pays with an attempt;
    /// where the database dies in the same moment, it may go unpaid. False where the lease no longer
    /// holds.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn begin(&self, lease: &Lease) -> Result<bool, DatabaseError> {
        let mut transaction = self.write_forgetfully().await?;
        let begun = sqlx::query(
            "UPDATE jobs SET begun_token = token
             WHERE id = $1 AND token = $2 AND status = 'running'",
        )
        .bind(&lease.job)
        .bind(lease.token)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(begun.rows_affected() == 1)
    }

    /// Records that `step` steps of a job are done, and what can be seen by then. False where the
    /// lease no longer holds, or the job was further already.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn progress(
        &self,
        lease: &Lease,
        step: u32,
        preview: Option<&str>,
        now: UnixMillis,
    ) -> Result<bool, DatabaseError> {
        let mut transaction = self.write().await?;
        let updated = sqlx::query(
            "UPDATE jobs SET step = $1
             WHERE id = $2 AND token = $3 AND status = 'running' AND step < $1",
        )
        .bind(i64::from(step))
        .bind(&lease.job)
        .bind(lease.token)
        .execute(&mut *transaction)
        .await?;
        if updated.rows_affected() == 0 {
            return Ok(false);
        }
        let (job, name) = (&lease.job, events::PROGRESS);
        events::append_with_preview(&mut transaction, job, name, preview, now).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Whether an image is still to be stored.
    ///
    /// # Errors
    /// [`DatabaseError::Query`].
    pub async fn is_awaited(&self, image: &str) -> Result<bool, DatabaseError> {
        let awaited: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM images JOIN jobs ON jobs.id = images.job_id
             WHERE images.id = $1 AND stored_at IS NULL AND status IN ('queued', 'running')",
        )
        .bind(image)
        .fetch_optional(&self.readers)
        .await?;
        Ok(awaited.is_some())
    }
}
