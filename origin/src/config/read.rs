//! Typed values of the settings, or everything that is wrong with them at once.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use darkroom_sdxl::DeviceKind;
use darkroom_shared::outside::Reach;
use darkroom_shared::signature::Secret;
use tracing_subscriber::EnvFilter;
use url::Url;

use super::layers::Layers;
use super::settings::{self, Setting};
use crate::database::Address;

/// What `darkroom serve` runs by.
#[derive(Clone, Debug)]
pub struct Config {
    /// [`settings::LISTEN`].
    pub listen: SocketAddr,
    /// [`settings::ADMIN_LISTEN`]; `None` where it is off.
    pub admin_listen: Option<SocketAddr>,
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
    /// [`settings::QUEUE_LIMIT`].
    pub queue_limit: u32,
    /// [`settings::ACCOUNT_CONCURRENCY`].
    pub account_concurrency: u32,
    /// [`settings::DATABASE_URL`].
    pub database: Address,
    /// [`settings::BUCKET`] and what belongs to it.
    pub bucket: Option<Bucket>,
    /// [`settings::RETENTION_DAYS`]; `None` keeps pictures for good.
    pub retention_days: Option<u32>,
    /// [`settings::VARIANT_WIDTHS`], in order.
    pub variant_widths: Vec<u32>,
    /// [`settings::CLOUDFRONT`].
    pub cloudfront_domain: Option<String>,
    /// [`settings::CLOUDFRONT_DISTRIBUTION`] and what belongs to it.
    pub distribution: Option<Distribution>,
    /// [`settings::ALLOWED_NETWORKS`].
    pub allowed_networks: Reach,
    /// [`settings::LOG`].
    pub log: String,
}

/// Where pictures are stored when not in a folder.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// The bucket's name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Another server than AWS's.
    pub endpoint: Option<Url>,
    /// How it encrypts what is stored.
    pub encryption: Encryption,
    /// How many days pictures are kept, where not for good: what their tags say.
    pub retention_days: Option<u32>,
}

/// A distribution of `CloudFront`.
#[derive(Clone, Debug)]
pub struct Distribution {
    /// Its id.
    pub id: String,
    /// Another server than AWS's.
    pub endpoint: Option<Url>,
}

/// How a bucket encrypts what is stored in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// As the bucket's own default says.
    #[default]
    BucketDefault,
    /// With S3's keys (SSE-S3).
    S3,
    /// With a key of KMS (SSE-KMS): this one, or AWS's own for S3.
    Kms(Option<String>),
}

/// Settings that are wrong, each with its remedy.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(pub Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        let settings = if count == 1 {
            "setting is"
        } else {
            "settings are"
        };
        write!(f, "{count} {settings} wrong:")?;
        self.0.iter().try_for_each(|wrong| write!(f, "\n  {wrong}"))
    }
}

impl std::error::Error for ConfigError {}

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
        let account_concurrency = reader.parse(&settings::ACCOUNT_CONCURRENCY, |text| {
            let limit = text.parse::<u32>();
            limit.map_err(|_| "write a whole number; 0 is no limit".to_owned())
        });
        let database = reader.database(data_dir.as_deref());
        let retention_days = reader.retention_days();
        let bucket = reader.bucket(retention_days.filter(|days| *days > 0));
        let variant_widths = reader.parse(&settings::VARIANT_WIDTHS, widths);
        let cloudfront_domain = reader.optional(&settings::CLOUDFRONT, domain);
        let distribution = reader.distribution();
        let allowed_networks = reader.optional(&settings::ALLOWED_NETWORKS, Reach::parse);
        let log = reader.log();
        Some(Self {
            listen: listen?,
            admin_listen: admin_listen.unwrap_or(Some(operators(listen?))),
            public_url: public_url?,
            origin_secrets: origin_secrets?,
            model: model?,
            device: device?,
            embed_recipe: embed_recipe?,
            queue_limit: queue_limit?,
            account_concurrency: account_concurrency?,
            database: database?,
            bucket,
            retention_days: Some(retention_days?).filter(|days| *days > 0),
            variant_widths: variant_widths?,
            cloudfront_domain,
            distribution,
            allowed_networks: allowed_networks.unwrap_or_default(),
            log: log?,
            data_dir: data_dir?,
        })
    }
}

/// Reads settings one by one and gathers what is wrong.
struct Reader<'a> {
    layers: &'a Layers,
    wrong: Vec<String>,
}

impl Reader<'_> {
    fn parse<T>(
        &mut self,
        setting: &Setting,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match self.layers.find(setting) {
            Some(_) => self.optional(setting, read),
            None => read(setting.default).ok(),
        }
    }

    fn optional<T>(
        &mut self,
        setting: &Setting,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (text, source) = self.layers.find(setting)?;
        read(text)
            .map_err(|remedy| {
                let name = setting.name;
                self.wrong
                    .push(format!("{name} ({source}) is `{text}`: {remedy}"));
            })
            .ok()
    }

    /// The same for values that must not be shown.
    fn optional_secret<T>(
        &mut self,
        setting: &Setting,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (text, source) = self.layers.find(setting)?;
        read(text)
            .map_err(|remedy| {
                let name = setting.name;
                self.wrong.push(format!("{name} ({source}): {remedy}"));
            })
            .ok()
    }

    fn secrets(&mut self) -> Option<Vec<Secret>> {
        let setting = &settings::ORIGIN_SECRETS;
        if self.layers.find(setting).is_none() {
            self.wrong.push(format!(
                "{} is not set: write `id:secret`, the same as the edge's, the secret from \
                 `openssl rand -hex 32`, say",
                setting.name
            ));
        }
        self.optional_secret(setting, |text| {
            Secret::parse_list(text).map_err(|error| error.to_string())
        })
    }

    fn database(&mut self, data_dir: Option<&Path>) -> Option<Address> {
        let setting = &settings::DATABASE_URL;
        if self.layers.find(setting).is_none() {
            return data_dir.map(|folder| Address::file(folder.join("darkroom.db")));
        }
        self.optional_secret(setting, |text| {
            Address::parse(text).map_err(|error| error.to_string())
        })
    }

    fn bucket(&mut self, retention_days: Option<u32>) -> Option<Bucket> {
        let name = self.optional(&settings::BUCKET, |text| Ok(text.to_owned()));
        let region = self.optional(&settings::REGION, |text| Ok(text.to_owned()));
        let endpoint = self.optional(&settings::ENDPOINT, web_address);
        let encryption = self.encryption();
        let name = name?;
        if region.is_none() && endpoint.is_none() {
            self.wrong.push(format!(
                "{} is not set: a bucket of AWS needs its region, such as eu-central-1",
                settings::REGION.name
            ));
        }
        Some(Bucket {
            name,
            // Other servers mostly ignore it, but a signature must name one.
            region: region.unwrap_or_else(|| "us-east-1".to_owned()),
            endpoint,
            encryption: encryption?,
            retention_days,
        })
    }

    fn distribution(&mut self) -> Option<Distribution> {
        let endpoint = self.optional(&settings::CLOUDFRONT_ENDPOINT, web_address);
        let id = self.optional(&settings::CLOUDFRONT_DISTRIBUTION, distribution_id)?;
        Some(Distribution { id, endpoint })
    }

    fn encryption(&mut self) -> Option<Encryption> {
        let key = self.optional(&settings::S3_SSE_KMS_KEY, |text| Ok(text.to_owned()));
        let encryption = self.parse(&settings::S3_SSE, |text| match text {
            "none" => Ok(Encryption::BucketDefault),
            "AES256" => Ok(Encryption::S3),
            "aws:kms" => Ok(Encryption::Kms(key.clone())),
            _ => Err("write `none`, `AES256` or `aws:kms`".to_owned()),
        })?;
        if key.is_some() && !matches!(encryption, Encryption::Kms(_)) {
            self.wrong.push(format!(
                "{} is set, but {} is not `aws:kms`: set that too, or neither",
                settings::S3_SSE_KMS_KEY.name,
                settings::S3_SSE.name
            ));
        }
        Some(encryption)
    }

    /// 0 where pictures are kept for good.
    fn retention_days(&mut self) -> Option<u32> {
        self.parse(&settings::RETENTION_DAYS, |text| {
            let days = text.parse().ok().filter(|days| *days <= 36_500);
            days.ok_or_else(|| "write a whole number of days up to 36500, 0 for good".to_owned())
        })
    }

    fn log(&mut self) -> Option<String> {
        let check = |text: &str| match EnvFilter::try_new(text) {
            Ok(_) => Ok(text.to_owned()),
            Err(error) => Err(format!(
                "{error}; write `info` or `info,darkroom_origin=debug`"
            )),
        };
        let rust_log = Setting {
            name: "RUST_LOG",
            ..settings::LOG
        };
        match self.layers.find(&settings::LOG) {
            None => self.parse(&rust_log, check),
            Some(_) => self.parse(&settings::LOG, check),
        }
    }
}

fn socket(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "write an IP address and a port, such as 127.0.0.1:8788".to_owned())
}

/// Where the operator is listened to unless told: another port for each service of a machine, and a
/// free one where the service has a free one.
fn operators(listen: SocketAddr) -> SocketAddr {
    let port = match listen.port() {
        0 => 0,
        port => port.checked_add(1000).unwrap_or(port - 1000),
    };
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn web_address(text: &str) -> Result<Url, String> {
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| "write an http or https address, such as http://127.0.0.1:8787".to_owned())
}

fn widths(text: &str) -> Result<Vec<u32>, String> {
    if text == "none" {
        return Ok(Vec::new());
    }
    let read = |width: &str| {
        let width = width.trim().parse().ok();
        width.filter(|width| (16..=2048).contains(width))
    };
    let widths: Option<Vec<u32>> = text.split(',').map(read).collect();
    let widths = widths.filter(|widths| widths.len() <= 8);
    widths.ok_or_else(|| {
        "write up to 8 widths from 16 to 2048, such as 256,512, or `none`".to_owned()
    })
}

fn domain(text: &str) -> Result<String, String> {
    let is_domain = text.contains('.')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
    is_domain
        .then(|| text.to_owned())
        .ok_or_else(|| "write the domain alone, such as d111111abcdef8.cloudfront.net".to_owned())
}

fn distribution_id(text: &str) -> Result<String, String> {
    let is_id = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_id
        .then(|| text.to_owned())
        .ok_or_else(|| "write the distribution's id, such as E1A2B3C4D5E6F7".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: (&str, &str) = (
        "DARKROOM_ORIGIN_SECRETS",
        "a:0123456789abcdef0123456789abcdef",
    );

    fn environment(values: &[(&str, &str)]) -> Layers {
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
            ("DARKROOM_PUBLIC_URL", "ftp://x"),
            ("DARKROOM_ORIGIN_SECRETS", "a:hush"),
            ("DARKROOM_DEVICE", "abacus"),
            ("DARKROOM_EMBED_RECIPE", "perhaps"),
            ("DARKROOM_QUEUE_LIMIT", "0"),
            ("DATABASE_URL", "mysql://u:hush@h/d"),
            ("AWS_S3_BUCKET", "b"),
            ("AWS_CLOUDFRONT_DOMAIN", "https://d"),
            ("AWS_CLOUDFRONT_DISTRIBUTION_ID", "d111.cloudfront.net"),
            ("AWS_CLOUDFRONT_ENDPOINT", "cloudfront"),
            ("DARKROOM_ALLOWED_NETWORKS", "10.0.0.0/33"),
            ("DARKROOM_LOG", "=,="),
            ("DARKROOM_S3_SSE", "rot13"),
            ("DARKROOM_RETENTION_DAYS", "-1"),
            ("DARKROOM_VARIANT_WIDTHS", "256,wide"),
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

    #[test]
    fn a_bucket_encrypts_as_it_is_told() {
        let bucket = |values: &[(&str, &str)]| {
            let mut all = vec![SECRET, ("AWS_S3_BUCKET", "b"), ("AWS_S3_REGION", "r")];
            all.extend(values);
            Config::read(&environment(&all)).map(|config| config.bucket.expect("bucket"))
        };
        let encryption = |values: &[_]| bucket(values).expect("valid").encryption;
        assert_eq!(encryption(&[]), Encryption::BucketDefault);
        assert_eq!(encryption(&[("DARKROOM_S3_SSE", "AES256")]), Encryption::S3);
        let kms = ("DARKROOM_S3_SSE", "aws:kms");
        let key = ("DARKROOM_S3_SSE_KMS_KEY", "alias/pictures");
        assert_eq!(encryption(&[kms]), Encryption::Kms(None));
        assert_eq!(
            encryption(&[kms, key]),
            Encryption::Kms(Some("alias/pictures".into()))
        );
        let message = bucket(&[key]).expect_err("refused").to_string();
        assert!(message.contains("DARKROOM_S3_SSE_KMS_KEY"), "{message}");
    }

    #[test]
    fn an_endpoint_needs_no_region() {
        let layers = environment(&[
            SECRET,
            ("AWS_S3_BUCKET", "b"),
            ("AWS_S3_ENDPOINT", "http://127.0.0.1:9000"),
        ]);
        let bucket = Config::read(&layers)
            .expect("valid")
            .bucket
            .expect("bucket");
        assert_eq!(bucket.region, "us-east-1");
    }
}
