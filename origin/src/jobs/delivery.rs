//! From the engine to the store: encode, put into the spool, upload, write down. All of it
//! beside the engine, which goes on with the next picture.

use std::sync::Arc;
use std::time::Instant;

use darkroom_credentials::Signer;
use darkroom_shared::problem::Code;
use darkroom_shared::recipe::Recipe;
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::{AtWork, Endings, Phase};
use crate::cause::chain;
use crate::database::{ClaimedImage, ClaimedJob, Stored};
use crate::encode::{EncodeError, encode, is_signed};
use crate::engine::Picture;
use crate::metrics::Stage;
use crate::provenance::{self, CredentialsError};
use crate::spool::{Spool, SpoolError};
use crate::storage::{About, Kept, Metadata, Object, Storage, StorageError, backoff};
use crate::traces::Span;

/// Pictures that may wait, raw, for the encoder: the engine waits rather than fill the memory.
const ENCODING: u32 = 2;
/// Files that may be in memory, each on its way to the store; the others wait on the disk.
const UPLOADING: u32 = 16;
/// Pictures that may be on their way: while the store is away the queue fills up and says so,
/// instead of the disk.
const CARRYING: u32 = 32;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Carries pictures to the store.
#[derive(Debug)]
pub struct Delivery {
    endings: Endings,
    storage: Arc<Storage>,
    spool: Spool,
    signer: Option<Arc<Signer>>,
    encoding: Arc<Semaphore>,
    uploading: Semaphore,
    carrying: Arc<Semaphore>,
    phases: watch::Receiver<Phase>,
}

/// One image of a job at work.
#[derive(Clone, Debug)]
pub struct Task {
    /// The job.
    pub job: Arc<ClaimedJob>,
    /// The image.
    pub image: ClaimedImage,
    /// The image's own recipe.
    pub recipe: Recipe,
    /// Tells when the job has ended early.
    pub work: AtWork,
    /// The span of the try that it belongs to.
    pub span: Span,
}

impl Task {
    /// Whether the job has no image after it.
    #[must_use]
    pub fn is_last(&self) -> bool {
        let last = self.job.images.last();
        last.is_none_or(|last| last.id == self.image.id)
    }
}

/// Why a picture did not get into the spool.
#[derive(Debug, thiserror::Error)]
enum SpoolingError {
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// How an upload came out.
enum Upload {
    Stored(Kept),
    JobEnded,
    Stopped,
}

impl Delivery {
    /// Carries pictures from `spool` to `storage`, signed on the way where their recipes say so.
    #[must_use]
    pub fn new(
        endings: Endings,
        storage: Arc<Storage>,
        spool: Spool,
        signer: Option<Arc<Signer>>,
    ) -> Self {
        Self {
            phases: endings.phases.clone(),
            endings,
            storage,
            spool,
            signer,
            encoding: Arc::new(Semaphore::new(ENCODING as usize)),
            uploading: Semaphore::new(UPLOADING as usize),
            carrying: Arc::new(Semaphore::new(CARRYING as usize)),
        }
    }

    /// Whether an image was made by an earlier try and still waits in the spool.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub fn holds(&self, image: &ClaimedImage) -> Result<bool, SpoolError> {
        self.spool.holds(&image.id)
    }

    /// Whether pictures of a recipe can be signed here as it wants.
    ///
    /// # Errors
    /// [`CredentialsError`].
    pub fn can_sign(&self, recipe: &Recipe) -> Result<(), CredentialsError> {
        provenance::signer_of(recipe, self.signer.as_deref()).map(drop)
    }

    /// Takes a picture over, `None` where the spool holds it already. Returns as soon as there
    /// is room for it, or with the process's end.
    pub async fn take(self: &Arc<Self>, task: Task, picture: Option<Picture>) {
        let mut phases = self.phases.clone();
        let room = async {
            let carrying = self.carrying.clone().acquire_owned().await;
            (carrying, self.encoding.clone().acquire_owned().await)
        };
        tokio::select! {
            permits = room => {
                // The semaphores are never closed.
                if let (Ok(carrying), Ok(encoding)) = permits {
                    let delivery = Arc::clone(self);
                    tokio::spawn(async move {
                        delivery.carry(task, picture, encoding).await;
                        drop(carrying);
                    });
                }
            }
            () = Phase::reached(&mut phases, Phase::Stopping) => {}
        }
    }

    /// Returns when nothing is on its way.
    pub async fn idle(&self) {
        drop(self.carrying.acquire_many(CARRYING).await);
    }

    async fn carry(&self, task: Task, picture: Option<Picture>, encoding: OwnedSemaphorePermit) {
        let (lease, span) = (task.job.lease.clone(), task.span.clone());
        let spooled = match picture {
            Some(picture) => self.put_into_spool(&task, picture).await,
            None => Ok(()),
        };
        drop(encoding);
        let delivered = match spooled {
            Ok(()) => self.upload_and_record(task).await,
            Err(cause) => Err(cause),
        };
        if let Err(cause) = delivered {
            let job = &lease.job;
            span.fail(Code::Internal.as_str());
            tracing::error!(job, error = chain(&*cause), "a picture could not be kept");
            let (code, message) = (Code::Internal, "the picture could not be kept");
            match cause.downcast_ref() {
                // Another machine may be able to.
                Some(SpoolingError::Credentials(_)) => {
                    self.endings.tried(&lease, code, message).await;
                }
                _ => self.endings.failed(&lease, code, message).await,
            }
        }
    }

    async fn put_into_spool(&self, task: &Task, picture: Picture) -> Result<(), Cause> {
        let (spool, image, recipe, span) = (
            self.spool.clone(),
            task.image.id.clone(),
            task.recipe.clone(),
            task.span.clone(),
        );
        let (metrics, signer) = (self.endings.metrics.jobs.clone(), self.signer.clone());
        let job = task.job.lease.job.clone();
        let work = move || -> Result<(), SpoolingError> {
            tracing::debug!(job, "a picture is being encoded");
            let begun = Instant::now();
            let file = encode(&picture, &recipe)?;
            let file = provenance::sign(file, &recipe, signer.as_deref())?;
            let encoded = Instant::now();
            metrics.staged(Stage::Encode, encoded.duration_since(begun));
            spool.write(&image, &file)?;
            metrics.staged(Stage::Spool, encoded.elapsed());
            span.past("encode", begun, encoded);
            span.past("spool", encoded, Instant::now());
            Ok(())
        };
        spawn_blocking(work).await??;
        if task.is_last() {
            let steps = task.recipe.steps_taken();
            let done = (task.image.position + 1) * steps;
            self.endings.progress.report(&task.job.lease, done, None);
        }
        Ok(())
    }

    async fn upload_and_record(&self, mut task: Task) -> Result<(), Cause> {
        let image = task.image.id.clone();
        match self.upload(&mut task).await? {
            Upload::Stored(Kept { bytes, sha256 }) => {
                let stored = self
                    .endings
                    .stored(&task.job.lease, &image, bytes, &sha256)
                    .await;
                match stored {
                    Some(Stored::One | Stored::Last) => self.remove(image).await,
                    Some(Stored::Unwanted) => self.remove_unless_awaited(image).await,
                    // Kept until the database says so: the next process sends these bytes again.
                    None => {}
                }
            }
            Upload::JobEnded => self.remove_unless_awaited(image).await,
            Upload::Stopped => {}
        }
        Ok(())
    }

    /// Tries until the store has the picture, the job ends, or the process does.
    async fn upload(&self, task: &mut Task) -> Result<Upload, Cause> {
        let mut phases = self.phases.clone();
        let _room = tokio::select! {
            room = self.uploading.acquire() => room?,
            () = task.work.ended() => return Ok(Upload::JobEnded),
            () = Phase::reached(&mut phases, Phase::Stopping) => return Ok(Upload::Stopped),
        };
        let (object, file) = self.read(task).await?;
        let metrics = &self.endings.metrics;
        let begun = Instant::now();
        let span = task.span.child("upload");
        span.set("darkroom.bytes", file.len() as i64);
        let mut failures = 0;
        loop {
            if task.work.has_ended() {
                return Ok(Upload::JobEnded);
            }
            let put = tokio::select! {
                put = self.storage.put(&object, file.clone()) => put,
                () = Phase::reached(&mut phases, Phase::Stopping) => return Ok(Upload::Stopped),
            };
            match put {
                Ok(kept) => {
                    metrics.uploads.stored(file.len() as u64);
                    metrics.jobs.staged(Stage::Upload, begun.elapsed());
                    return Ok(Upload::Stored(kept));
                }
                Err(taken @ StorageError::Taken { .. }) => {
                    metrics.uploads.refused();
                    self.remove(task.image.id.clone()).await;
                    return Err(taken.into());
                }
                Err(error) => {
                    failures += 1;
                    span.set("darkroom.failures", i64::from(failures));
                    metrics.uploads.retried();
                    tracing::warn!(
                        job = task.job.lease.job,
                        failures,
                        error = chain(&error),
                        "the store did not take a picture yet"
                    );
                }
            }
            tokio::select! {
                () = sleep(backoff(failures)) => {}
                () = task.work.ended() => {}
                () = Phase::reached(&mut phases, Phase::Stopping) => return Ok(Upload::Stopped),
            }
        }
    }

    /// The file in the spool, and what is stored with it: the same at every try.
    async fn read(&self, task: &Task) -> Result<(Object, bytes::Bytes), Cause> {
        let (spool, task) = (self.spool.clone(), task.clone());
        let work = move || {
            let waiting = spool.read(&task.image.id)?;
            let sha256 = hex::encode(Sha256::digest(&waiting.bytes));
            let metadata = Metadata::new(&About {
                task_id: task.job.task_id.as_deref(),
                made_at: waiting.made_at,
                recipe_sha256: &task.image.recipe_sha256,
                model: &task.recipe.model,
                seed: task.recipe.seed,
                sha256: &sha256,
            });
            let object = Object {
                key: task.image.key,
                content_type: task.image.content_type,
                metadata,
                is_signed: is_signed(&task.recipe.engine),
            };
            Ok::<_, SpoolError>((object, waiting.bytes))
        };
        Ok(spawn_blocking(work).await??)
    }

    /// A job that was lost may have been taken up again here, and wait for this very file.
    async fn remove_unless_awaited(&self, image: String) {
        if matches!(self.endings.database.is_awaited(&image).await, Ok(false)) {
            self.remove(image).await;
        }
    }

    /// A file that stays costs room for a while, and no job its success.
    async fn remove(&self, image: String) {
        let spool = self.spool.clone();
        let removal = spawn_blocking(move || spool.remove(&image).map_err(Cause::from));
        if let Err(error) = removal.await.unwrap_or_else(|panic| Err(panic.into())) {
            tracing::warn!(error = chain(&*error), "a picture stays in the spool");
        }
    }
}
