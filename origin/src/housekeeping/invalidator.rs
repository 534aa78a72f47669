//! The CDN is told what it is to forget.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use uuid::Uuid;

use crate::cause::chain;
use crate::cloudfront::{CloudFront, CloudFrontError};
use crate::database::{Database, DatabaseError, Invalidation};
use crate::jobs::{Phase, Rounds};
use crate::metrics::InvalidationMetrics;
use crate::storage::backoff;

/// How often it is looked whether there is anything to tell.
const LOOK: Duration = Duration::from_secs(2);
/// How long one try may take before another begins.
const LEASE: Duration = Duration::from_mins(1);
/// How often what nobody is told is forgotten, where there is no CDN, and how old it is then: others
/// that share the database may have one.
const FORGET: Duration = Duration::from_hours(1);
const OLD: Duration = Duration::from_hours(24);

/// Tells the CDN of deleted images.
#[derive(Clone, Debug)]
pub struct Invalidator {
    /// Where it is written down.
    pub database: Database,
    /// The CDN, where there is one.
    pub cloudfront: Option<Arc<CloudFront>>,
    /// What counts what it is told.
    pub metrics: InvalidationMetrics,
}

impl Invalidator {
    /// Tells whatever is to be told, until the process ends.
    pub async fn keep(self, mut phases: watch::Receiver<Phase>) {
        let Some(cloudfront) = &self.cloudfront else {
            return self.forget(phases).await;
        };
        loop {
            tokio::select! {
                told = self.one(cloudfront) => match told {
                    Ok(true) => continue,
                    Ok(false) => {}
                    Err(error) => tracing::warn!(
                        error = chain(&error),
                        "what the CDN is to forget cannot be read"
                    ),
                },
                // Who is cut off here has said nothing, or says it again.
                () = Phase::reached(&mut phases, Phase::Stopping) => return,
            }
            tokio::select! {
                () = sleep(LOOK) => {}
                () = Phase::reached(&mut phases, Phase::Stopping) => return,
            }
        }
    }

    /// Tells one batch. False where there is none.
    async fn one(&self, cloudfront: &CloudFront) -> Result<bool, DatabaseError> {
        let reference = Uuid::new_v4().to_string();
        let now = self.database.now().await?;
        let claimed = self.database.claim_invalidation(&reference, LEASE, now);
        let Some(batch) = claimed.await? else {
            return Ok(false);
        };
        match cloudfront.invalidate(&batch.reference, &batch.paths).await {
            Ok(()) => {
                self.database.invalidation_done(&batch.reference).await?;
                let (reference, paths) = (&batch.reference, batch.paths.len());
                self.metrics.told(paths);
                tracing::info!(reference, paths, "the CDN forgets deleted images");
            }
            Err(error) => self.failed(&batch, &error).await?,
        }
        Ok(true)
    }

    async fn failed(
        &self,
        batch: &Invalidation,
        error: &CloudFrontError,
    ) -> Result<(), DatabaseError> {
        self.metrics.failed();
        let (reference, attempts) = (&batch.reference, batch.attempts);
        tracing::warn!(
            reference,
            attempts,
            error = chain(error),
            "the CDN still has deleted images"
        );
        let pause = backoff(attempts).as_millis() as i64;
        let now = self.database.now().await?;
        self.database
            .invalidation_failed(reference, now + pause)
            .await
    }

    async fn forget(&self, phases: watch::Receiver<Phase>) {
        let mut rounds = Rounds::every(FORGET, phases);
        while rounds.next().await {
            let forgotten = async {
                let before = self.database.now().await? - OLD.as_millis() as i64;
                self.database.forget_invalidations(before).await
            };
            if let Err(error) = forgotten.await {
                tracing::warn!(
                    error = chain(&error),
                    "old deletions are still written down"
                );
            }
        }
    }
}
