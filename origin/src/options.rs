//! From settings to the parts of a service.

use crate::addresses::Addresses;
use crate::cloudfront::CloudFront;
use crate::config::Config;
use crate::housekeeping::KeeperOptions;
use crate::outbound::{Outbound, SystemLookup};
use crate::service::ServiceOptions;
use crate::storage::{Folder, S3, Storage};
use crate::traces::Traces;

/// A service cannot be made by its settings.
#[derive(Debug, thiserror::Error)]
#[error("the system's certificates cannot be read")]
pub struct OptionsError(#[from] reqwest::Error);

impl TryFrom<Config> for ServiceOptions {
    type Error = OptionsError;

    fn try_from(config: Config) -> Result<Self, OptionsError> {
        let storage = Storage::of(&config);
        let addresses = match &config.cloudfront_domain {
            Some(domain) => Addresses::cloudfront(domain),
            None => Addresses::edge(config.public_url.as_str()),
        };
        Ok(Self {
            secrets: config.origin_secrets,
            addresses,
            queue_limit: config.queue_limit,
            account_queue_share: config.account_queue_share,
            account_concurrency: config.account_concurrency,
            checkpoint_every: config.checkpoint_every,
            signer: config.signer,
            database: config.database,
            storage,
            keeping: KeeperOptions {
                retention_days: config.retention_days,
                restore_days: config.restore_days,
                history_days: config.history_days,
                variant_widths: config.variant_widths,
                variant_formats: config.variant_formats,
            },
            cloudfront: config.distribution.map(CloudFront::new),
            data_dir: config.data_dir,
            outbound: Outbound::trusting(
                config.allowed_networks,
                SystemLookup,
                &config.outbound_ca,
            )?,
            webhook_keys: config.webhook_keys,
            traces: Traces::default(),
        })
    }
}

impl Storage {
    /// The store that the settings name.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        match &config.bucket {
            Some(bucket) => Self::S3(S3::new(bucket.clone())),
            None => Self::Folder(Folder::new(config.data_dir.join("objects"))),
        }
    }
}
