//! The housekeeping of a service: a round each minute, a thorough one each day.

use std::time::Duration;

use darkroom_shared::request::Format;
use darkroom_shared::timestamp::UnixMillis;
use tokio::sync::watch;

use super::{GRACE, HousekeepingError, Purge, Reconciler, Report, Scope};
use crate::cause::chain;
use crate::clock;
use crate::database::DatabaseError;
use crate::jobs::{Phase, Rounds};

/// How often what is left over is dealt with.
const ROUND: Duration = Duration::from_mins(1);
/// How often store and database are compared, by one of all who share them.
const RECONCILE_EVERY: Duration = Duration::from_hours(24);
/// The same where that failed.
const RETRY: Duration = Duration::from_hours(1);
/// Images that are looked for in the store each time: a question for each is not for nothing.
const IMAGES: u64 = 10_000;
/// Old images that are deleted at a time: others write, too.
const EXPIRED: u32 = 500;
/// Jobs whose history is forgotten at a time.
const FORGOTTEN: u32 = 100;
const DAY: Duration = Duration::from_hours(24);
const RECONCILE: &str = "reconcile";

/// What a keeper goes by.
#[derive(Clone, Debug, Default)]
pub struct KeeperOptions {
    /// Days that images are kept, where not for good.
    pub retention_days: Option<u32>,
    /// Days within which deleted images can be restored; 0 is not at all.
    pub restore_days: u32,
    /// Days after a job's end that its history is kept, where not for good.
    pub history_days: Option<u32>,
    /// How wide smaller copies of them are, in pixels.
    pub variant_widths: Vec<u32>,
    /// In which formats each of those widths is made.
    pub variant_formats: Vec<Format>,
}

/// Keeps store and database in order.
#[derive(Debug)]
pub struct Keeper {
    purge: Purge,
    reconciler: Reconciler,
    options: KeeperOptions,
    /// The image up to which they were looked for.
    looked_until: String,
}

impl Keeper {
    /// A keeper that has not begun.
    #[must_use]
    pub fn new(purge: Purge, options: KeeperOptions) -> Self {
        Self {
            reconciler: Reconciler {
                database: purge.database.clone(),
                storage: purge.storage.clone(),
            },
            purge,
            options,
            looked_until: String::new(),
        }
    }

    /// Keeps order until the process ends.
    pub async fn keep(mut self, mut phases: watch::Receiver<Phase>) {
        let mut rounds = Rounds::every(ROUND, phases.clone());
        while rounds.next().await {
            tokio::select! {
                () = self.round() => {}
                // All of it is as well begun anew.
                () = Phase::reached(&mut phases, Phase::Stopping) => return,
            }
        }
    }

    async fn round(&mut self) {
        if let Err(error) = self.expire().await {
            tracing::warn!(error = chain(&error), "old images were not deleted");
        }
        if let Err(error) = self.forget().await {
            tracing::warn!(
                error = chain(&error),
                "the history of old jobs was not forgotten"
            );
        }
        match self.purge.all(clock::now()).await {
            Ok(0) => {}
            Ok(images) => tracing::info!(images, "deleted images have left the store"),
            Err(error) => {
                tracing::warn!(error = chain(&error), "deleted images are still stored");
            }
        }
        if let Err(error) = self.reconcile().await {
            tracing::warn!(error = chain(&error), "the store was not looked through");
        }
    }

    async fn expire(&self) -> Result<(), DatabaseError> {
        let Some(days) = self.options.retention_days else {
            return Ok(());
        };
        let database = &self.purge.database;
        let stored_before = self.days_ago(days).await?;
        loop {
            let expired = database.expire_images(stored_before, EXPIRED, clock::now());
            match expired.await? {
                0 => return Ok(()),
                images => tracing::info!(images, days, "images were kept long enough"),
            }
        }
    }

    async fn forget(&self) -> Result<(), DatabaseError> {
        let Some(days) = self.options.history_days else {
            return Ok(());
        };
        let ended_before = self.days_ago(days).await?;
        let database = &self.purge.database;
        while database.forget_history(ended_before, FORGOTTEN).await? > 0 {}
        Ok(())
    }

    /// Not by this machine's clock: one that is wrong would delete what is young.
    async fn days_ago(&self, days: u32) -> Result<UnixMillis, DatabaseError> {
        Ok(self.purge.database.now().await? - (DAY * days).as_millis() as i64)
    }

    async fn reconcile(&mut self) -> Result<(), HousekeepingError> {
        let database = &self.purge.database;
        // Where it is not done, another tries before long.
        if !database
            .take_chore(RECONCILE, clock::now(), after(RETRY))
            .await?
        {
            return Ok(());
        }
        let mut report = Report::default();
        let reconciler = &self.reconciler;
        let old = before(GRACE);
        reconciler.objects(Scope::Known, old, &mut report).await?;
        let last = std::mem::take(&mut self.looked_until);
        let until = reconciler.images(last, IMAGES, &mut report).await?;
        // Behind the last one the next time begins with the first.
        self.looked_until = until.unwrap_or_default();
        reconciler.uploads(old, &mut report).await?;
        database
            .chore_done(RECONCILE, after(RECONCILE_EVERY))
            .await?;
        let Report {
            objects,
            unwanted,
            unknown,
            removed,
            uploads,
            images,
            missing,
            ..
        } = report;
        if missing > 0 || unknown > 0 {
            tracing::warn!(
                missing,
                unknown,
                "store and database do not agree; `darkroom reconcile` says where"
            );
        }
        tracing::info!(
            objects,
            unwanted,
            removed,
            uploads,
            images,
            "the store was looked through"
        );
        Ok(())
    }
}

/// The moment that long ago.
fn before(age: Duration) -> UnixMillis {
    clock::now() - age.as_millis() as i64
}

/// The moment in that time.
fn after(wait: Duration) -> UnixMillis {
    clock::now() + wait.as_millis() as i64
}
