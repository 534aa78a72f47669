//! The settings of a bucket, which depend on each other.

use url::Url;

use super::reader::Reader;
use super::settings;
use super::values::{days, web_address};

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

impl Reader<'_> {
    pub(super) fn bucket(&mut self, retention_days: Option<u32>) -> Option<Bucket> {
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
    pub(super) fn retention_days(&mut self) -> Option<u32> {
        self.parse(&settings::RETENTION_DAYS, |text| {
            days(text).map_err(|remedy| format!("{remedy}, 0 for good"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::read::Config;
    use super::super::read::tests::{SECRET, environment};
    use super::*;

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
