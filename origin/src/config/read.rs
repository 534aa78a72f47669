//! Typed values of the settings, or everything that is wrong with them at once.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use darkroom_credentials::Signer;
use darkroom_sdxl::DeviceKind;
use darkroom_shared::outside::Reach;
use darkroom_shared::request::Format;
use darkroom_shared::signature::Secret;
use rustls::pki_types::CertificateDer;
use url::Url;

use super::authorities::authorities;
use super::bucket::Bucket;
use super::distribution::Distribution;
use super::error::ConfigError;
use super::layers::Layers;
use super::reader::Reader;
use super::settings;
use super::values::{days, domain, operators, socket, variant_formats, web_address, widths};
use crate::database::Address;
use crate::webhooks::SealingKeys;

/// What `darkroom serve` runs by.
#[derive(Clone, Debug)]
pub struct Config {
    /// [`settings::LISTEN`].
    pub listen: SocketAddr,
    /// [`settings::ADMIN_LISTEN`]; `None` where it is off.
    pub admin_listen: Option<SocketAddr>,
    /// [`settings::CONNECTIONS`].
    pub connections: usize,
    /// [`settings::PUBLIC_URL`].
    pub public_url: Url,
    /// [`settings::ORIGIN_SECRETS`].
    pub origin_secrets: Vec<Secret>,
    /// [`settings::DATA_DIR`].
    pub data_dir: PathBuf,
    /// [`settings::MODEL`].
    pub model: PathBuf,
    /// [`settings::DEVICE`].
    pub device: DeviceKind,
    /// [`settings::EMBED_RECIPE`].
    pub embed_recipe: bool,
    /// [`settings::C2PA_CERTIFICATE`] with its key.
    pub signer: Option<Arc<Signer>>,
    /// [`settings::QUEUE_LIMIT`].
    pub queue_limit: u32,
    /// [`settings::ACCOUNT_CONCURRENCY`].
    pub account_concurrency: u32,
    /// [`settings::CHECKPOINT_SECONDS`]; `None` where only an orderly end saves.
    pub checkpoint_every: Option<Duration>,
    /// [`settings::ACCOUNT_QUEUE_SHARE`].
    pub account_queue_share: u32,
    /// [`settings::DATABASE_URL`].
    pub database: Address,
    /// [`settings::BUCKET`] and what belongs to it.
    pub bucket: Option<Bucket>,
    /// [`settings::RETENTION_DAYS`]; `None` keeps pictures for good.
    pub retention_days: Option<u32>,
    /// [`settings::RESTORE_DAYS`]; 0 where deleted pictures are removed at once.
    pub restore_days: u32,
    /// [`settings::HISTORY_DAYS`]; `None` keeps all for good.
    pub history_days: Option<u32>,
    /// [`settings::VARIANT_WIDTHS`], in order.
    pub variant_widths: Vec<u32>,
    /// [`settings::VARIANT_FORMATS`], in the order in which they are told.
    pub variant_formats: Vec<Format>,
    /// [`settings::CLOUDFRONT`].
    pub cloudfront_domain: Option<String>,
    /// [`settings::CLOUDFRONT_DISTRIBUTION`] and what belongs to it.
    pub distribution: Option<Distribution>,
    /// [`settings::ALLOWED_NETWORKS`].
    pub allowed_networks: Reach,
    /// [`settings::WEBHOOK_KEYS`].
    pub webhook_keys: SealingKeys,
    /// [`settings::OUTBOUND_CA`].
    pub outbound_ca: Vec<CertificateDer<'static>>,
    /// [`settings::LOG`].
    pub log: String,
}

impl Config {
    /// Reads every setting.
    ///
    /// # Errors
    /// Every setting that is wrong, by name, with the remedy.
    pub fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let mut reader = Reader {
            layers,
            wrong: Vec::new(),
        };
        let config = Self::read_all(&mut reader);
        match config {
            Some(config) if reader.wrong.is_empty() => Ok(config),
            _ => Err(ConfigError(reader.wrong)),
        }
    }

    /// Reads what says where the database is, and nothing else: who looks after it need not have
    /// the secrets.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_database(layers: &Layers) -> Result<Address, ConfigError> {
        let mut reader = Reader {
            layers,
            wrong: Vec::new(),
        };
        let data_dir = reader.parse(&settings::DATA_DIR, |text| Ok(PathBuf::from(text)));
        let database = reader.database(data_dir.as_deref());
        match database {
            Some(database) if reader.wrong.is_empty() => Ok(database),
            _ => Err(ConfigError(reader.wrong)),
        }
    }

    /// `None` where a value without a default is wrong; by then it is in the list.
    fn read_all(reader: &mut Reader<'_>) -> Option<Self> {
        // Every setting is read before the first `?`, so that all that is wrong is told.
        let listen = reader.parse(&settings::LISTEN, socket);
        let admin_listen = reader.optional(&settings::ADMIN_LISTEN, |text| match text {
            "off" => Ok(None),
            text => socket(text).map(Some),
        });
        let connections = reader.parse(&settings::CONNECTIONS, |text| {
            let limit = text.parse::<u32>().ok().filter(|limit| *limit > 0);
            let limit = limit.ok_or_else(|| "write a whole number above 0".to_owned());
            limit.map(|limit| limit as usize)
        });
        let public_url = reader.parse(&settings::PUBLIC_URL, web_address);
        let origin_secrets = reader.secrets();
        let data_dir = reader.parse(&settings::DATA_DIR, |text| Ok(PathBuf::from(text)));
        let model = reader.parse(&settings::MODEL, |text| Ok(PathBuf::from(text)));
        let device = reader.parse(&settings::DEVICE, str::parse::<DeviceKind>);
        let embed_recipe = reader.parse(&settings::EMBED_RECIPE, |text| match text {
            "yes" => Ok(true),
            "no" => Ok(false),
            _ => Err("write yes or no".to_owned()),
        });
        let queue_limit = reader.parse(&settings::QUEUE_LIMIT, |text| {
            let limit = text.parse::<u32>().ok().filter(|limit| *limit > 0);
            limit.ok_or_else(|| "write a whole number above 0".to_owned())
        });
        let account_queue_share = reader.parse(&settings::ACCOUNT_QUEUE_SHARE, |text| {
            let share = text.parse::<u32>().ok();
            let share = share.filter(|share| (1..=100).contains(share));
            share.ok_or_else(|| "write a whole number from 1 to 100".to_owned())
        });
        let account_concurrency = reader.parse(&settings::ACCOUNT_CONCURRENCY, |text| {
            let limit = text.parse::<u32>();
            limit.map_err(|_| "write a whole number; 0 is no limit".to_owned())
        });
        let checkpoint_seconds = reader.parse(&settings::CHECKPOINT_SECONDS, |text| {
            let seconds = text.parse::<u32>();
            seconds.map_err(|_| "write a whole number of seconds; 0 saves none".to_owned())
        });
        let signer = reader.signer();
        let database = reader.database(data_dir.as_deref());
        let retention_days = reader.retention_days();
        let restore_days = reader.parse(&settings::RESTORE_DAYS, days);
        let history_days = reader.parse(&settings::HISTORY_DAYS, days);
        let bucket = reader.bucket(retention_days.filter(|days| *days > 0));
        let variant_widths = reader.parse(&settings::VARIANT_WIDTHS, widths);
        let variant_formats = reader.parse(&settings::VARIANT_FORMATS, variant_formats);
        let cloudfront_domain = reader.optional(&settings::CLOUDFRONT, domain);
        let distribution = reader.distribution();
        let allowed_networks = reader.optional(&settings::ALLOWED_NETWORKS, Reach::parse);
        let webhook_keys = reader.optional_secret(&settings::WEBHOOK_KEYS, SealingKeys::parse);
        let outbound_ca = reader.optional(&settings::OUTBOUND_CA, authorities);
        let log = reader.log();
        Some(Self {
            listen: listen?,
            admin_listen: admin_listen.unwrap_or(Some(operators(listen?))),
            connections: connections?,
            public_url: public_url?,
            origin_secrets: origin_secrets?,
            model: model?,
            device: device?,
            embed_recipe: embed_recipe?,
            signer,
            queue_limit: queue_limit?,
            account_queue_share: account_queue_share?,
            account_concurrency: account_concurrency?,
            checkpoint_every: Some(checkpoint_seconds?)
                .filter(|seconds| *seconds > 0)
                .map(|seconds| Duration::from_secs(seconds.into())),
            database: database?,
            bucket,
            retention_days: Some(retention_days?).filter(|days| *days > 0),
            restore_days: restore_days?,
            history_days: Some(history_days?).filter(|days| *days > 0),
            variant_widths: variant_widths?,
            variant_formats: variant_formats?,
            cloudfront_domain,
            distribution,
            allowed_networks: allowed_networks.unwrap_or_default(),
            webhook_keys: webhook_keys.unwrap_or_default(),
            outbound_ca: outbound_ca.unwrap_or_default(),
            log: log?,
            data_dir: data_dir?,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::config) const SECRET: (&str, &str) = (
        "DARKROOM_ORIGIN_SECRETS",
        "a:0123456789abcdef0123456789abcdef",
    );

    pub(in crate::config) fn environment(values: &[(&str, &str)]) -> Layers {
        Layers {
            environment: values
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..Layers::default()
        }
    }

    #[test]
    fn the_secrets_are_enough() {
        let config = Config::read(&environment(&[SECRET])).expect("valid");
        assert_eq!(config.listen.to_string(), "127.0.0.1:8788");
        let admin = config.admin_listen.expect("on");
        assert_eq!(admin.to_string(), "127.0.0.1:9788");
        assert_eq!(config.queue_limit, 100);
        assert!(config.bucket.is_none());
        assert_eq!(config.log, "info");
        assert!(!format!("{config:?}").contains("0123456789abcdef"));
    }

    #[test]
    fn every_wrong_setting_is_told_at_once_and_secrets_are_not_shown() {
        let layers = environment(&[
            ("DARKROOM_LISTEN", "somewhere"),
            ("DARKROOM_ADMIN_LISTEN", "9090"),
            ("DARKROOM_CONNECTIONS", "many"),
            ("DARKROOM_PUBLIC_URL", "ftp://x"),
            ("DARKROOM_ORIGIN_SECRETS", "a:hush"),
            ("DARKROOM_DEVICE", "abacus"),
            ("DARKROOM_EMBED_RECIPE", "perhaps"),
            ("DARKROOM_C2PA_CERTIFICATE", "/nowhere.pem"),
            ("DARKROOM_C2PA_PRIVATE_KEY", "/nowhere.key"),
            ("DARKROOM_QUEUE_LIMIT", "0"),
            ("DARKROOM_CHECKPOINT_SECONDS", "often"),
            ("DARKROOM_ACCOUNT_QUEUE_SHARE", "0"),
            ("DATABASE_URL", "mysql://u:hush@h/d"),
            ("AWS_S3_BUCKET", "b"),
            ("AWS_CLOUDFRONT_DOMAIN", "https://d"),
            ("AWS_CLOUDFRONT_DISTRIBUTION_ID", "d111.cloudfront.net"),
            ("AWS_CLOUDFRONT_ENDPOINT", "cloudfront"),
            ("DARKROOM_ALLOWED_NETWORKS", "10.0.0.0/33"),
            ("DARKROOM_OUTBOUND_CA", "/nowhere.pem"),
            ("DARKROOM_WEBHOOK_KEYS", "a:hush"),
            ("DARKROOM_LOG", "=,="),
            ("DARKROOM_S3_SSE", "rot13"),
            ("DARKROOM_RETENTION_DAYS", "-1"),
            ("DARKROOM_HISTORY_DAYS", "a month"),
            ("DARKROOM_VARIANT_WIDTHS", "256,wide"),
            ("DARKROOM_VARIANT_FORMATS", "webp,gif"),
        ]);
        let message = Config::read(&layers).expect_err("refused").to_string();
        for name in layers.environment.keys() {
            let name = if name == "AWS_S3_BUCKET" {
                "AWS_S3_REGION"
            } else {
                name
            };
            assert!(message.contains(name), "{name} in {message}");
        }
        assert!(message.contains("must begin with sqlite://"));
        assert!(!message.contains("hush"), "{message}");
    }

    #[test]
    fn the_operators_listener_follows_the_other_unless_told() {
        let admin = |values: &[(&str, &str)]| {
            let values = [&[SECRET], values].concat();
            let config = Config::read(&environment(&values)).expect("valid");
            config.admin_listen.map(|address| address.to_string())
        };
        let listen = |address| ("DARKROOM_LISTEN", address);
        let ours = |address| ("DARKROOM_ADMIN_LISTEN", address);
        let local = |port: u16| Some(format!("127.0.0.1:{port}"));
        assert_eq!(admin(&[listen("0.0.0.0:0")]), local(0));
        assert_eq!(admin(&[listen("0.0.0.0:65000")]), local(64000));
        assert_eq!(admin(&[ours("127.0.0.1:9")]), local(9));
        assert_eq!(admin(&[ours("off")]), None);
    }

    #[test]
    fn rust_log_is_read_where_ours_is_unset() {
        let both = environment(&[SECRET, ("RUST_LOG", "warn"), ("DARKROOM_LOG", "debug")]);
        assert_eq!(Config::read(&both).expect("valid").log, "debug");
        let one = environment(&[SECRET, ("RUST_LOG", "warn")]);
        assert_eq!(Config::read(&one).expect("valid").log, "warn");
    }
}
