//! Pictures in a bucket of S3, or of a server that speaks like it.
//!
//! The credentials need `s3:PutObject`, `s3:GetObject`, `s3:DeleteObject` and
//! `s3:AbortMultipartUpload` on the objects (`s3:PutObjectTagging` too, where pictures are kept for a
//! time only), and `s3:ListBucket` and `s3:ListBucketMultipartUploads` on the bucket: without
//! `s3:ListBucket`, S3 answers 403 instead of 404 for what is not there, which cannot be told from
//! credentials that are wrong.

mod listing;
mod multipart;

use std::error::Error;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::SharedCredentialsProvider;
use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ServerSideEncryption, TaggingDirective};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use darkroom_shared::key::visibility;
use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;

use super::{Kept, Object, StorageError, Stored};
use crate::aws::Access;
use crate::config::{Bucket, Encryption};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For one try of one call, the body included; stalls are noticed sooner.
const ATTEMPT_TIMEOUT: Duration = Duration::from_mins(2);
/// For one call with all its tries.
const OPERATION_TIMEOUT: Duration = Duration::from_mins(5);
/// Tries of one call. Who uploads tries again for as long as it takes; these are for the hiccup.
const ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Files above this go in parts of this size.
const PART: usize = 8 * 1024 * 1024;
const DIGEST: &str = "sha256";
const RECIPE: &str = "recipe-sha256";

/// A bucket. Its client is made on first use, so that a service starts without credentials.
#[derive(Debug)]
pub struct S3 {
    bucket: Bucket,
    credentials: Option<SharedCredentialsProvider>,
    client: OnceCell<Client>,
}

impl S3 {
    /// Pictures are kept in `bucket`; credentials come from AWS's default chain.
    #[must_use]
    pub fn new(bucket: Bucket) -> Self {
        Self {
            bucket,
            credentials: None,
            client: OnceCell::new(),
        }
    }

    /// The same with credentials from elsewhere.
    #[must_use]
    pub fn with_credentials(bucket: Bucket, credentials: SharedCredentialsProvider) -> Self {
        Self {
            credentials: Some(credentials),
            ..Self::new(bucket)
        }
    }

    /// Stores a picture.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn put(&self, object: &Object, bytes: Bytes) -> Result<Kept, StorageError> {
        if bytes.len() > PART {
            return multipart::put(self, object, &bytes).await;
        }
        let checksum = BASE64.encode(Sha256::digest(&bytes));
        let length = bytes.len();
        let mut request = self
            .client()
            .await
            .put_object()
            .bucket(&self.bucket.name)
            .key(&object.key)
            .content_type(&object.content_type)
            .cache_control(object.cache_control())
            .checksum_sha256(&checksum)
            .set_server_side_encryption(self.encryption())
            .set_ssekms_key_id(self.kms_key())
            .set_bucket_key_enabled(self.bucket_key())
            .set_tagging(self.tags(&object.key))
            // Nothing under our key is ever replaced.
            .if_none_match("*");
        for (name, value) in object.metadata.entries() {
            request = request.metadata(name, value);
        }
        match request.body(ByteStream::from(bytes)).send().await {
            // The store has read the very bytes. A 200 alone may come from something in between.
            Ok(stored) if stored.checksum_sha256() == Some(&checksum) => Ok(Kept {
                bytes: length as u64,
                sha256: object.metadata.sha256.clone(),
            }),
            Ok(_) => self.require_ours(object, length).await,
            // Something is there: an earlier try of ours whose answer was lost, or a stranger.
            Err(error) if status(&error) == Some(412) => self.require_ours(object, length).await,
            Err(error) => Err(unavailable("store", &object.key, error)),
        }
    }

    /// Looks whether what is stored is the object, whose file has `length` bytes here.
    async fn require_ours(&self, object: &Object, length: usize) -> Result<Kept, StorageError> {
        let key = &object.key;
        let head = self.client().await.head_object();
        let head = head.bucket(&self.bucket.name).key(key).send().await;
        let head = head.map_err(|error| unavailable("look at", key, error))?;
        let metadata = head.metadata.unwrap_or_default();
        let recipe = metadata.get(RECIPE).map(String::as_str);
        match metadata.get(DIGEST) {
            Some(sha256) if object.is(sha256, recipe) => Ok(Kept {
                bytes: head
                    .content_length
                    .map_or(length as u64, |bytes| bytes as u64),
                sha256: sha256.clone(),
            }),
            _ => Err(StorageError::Taken { key: key.clone() }),
        }
    }

    /// Fetches a picture.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    pub async fn get(&self, key: &str) -> Result<Option<Stored>, StorageError> {
        let answer = self
            .client()
            .await
            .get_object()
            .bucket(&self.bucket.name)
            .key(key)
            .send()
            .await;
        let object = match answer {
            Ok(object) => object,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(unavailable("read", key, error)),
        };
        // What carries no digest was not put there by us.
        let digest = object.metadata.as_ref().and_then(|all| all.get(DIGEST));
        let Some(sha256) = digest.cloned() else {
            return Ok(None);
        };
        Ok(Some(Stored {
            content_type: object.content_type.unwrap_or_default(),
            length: object.content_length.map(|length| length as u64),
            sha256,
            body: pieces(object.body).boxed(),
        }))
    }

    /// Whether a picture is stored.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    pub async fn holds(&self, key: &str) -> Result<bool, StorageError> {
        let request = self.client().await.head_object();
        match request.bucket(&self.bucket.name).key(key).send().await {
            Ok(_) => Ok(true),
            // Without a body nothing says what is missing; a bucket that is was noticed before.
            Err(error) if status(&error) == Some(404) => Ok(false),
            Err(error) => Err(unavailable("look at", key, error)),
        }
    }

    /// Gives a picture another name: a copy, and then the end of the first.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    pub async fn rename(&self, from: &str, to: &str) -> Result<bool, StorageError> {
        let copied = self
            .client()
            .await
            .copy_object()
            .bucket(&self.bucket.name)
            .copy_source(format!("{}/{from}", self.bucket.name))
            .key(to)
            .set_server_side_encryption(self.encryption())
            .set_ssekms_key_id(self.kms_key())
            .set_bucket_key_enabled(self.bucket_key())
            // Reading the first one's tags would take a permission of its own.
            .tagging_directive(TaggingDirective::Replace)
            .set_tagging(self.tags(from))
            .send()
            .await;
        match copied {
            Ok(_) => {}
            Err(error) if status(&error) == Some(404) => return self.holds(to).await,
            Err(error) => return Err(unavailable("move", from, error)),
        }
        // A 200 alone may come from something in between.
        if !self.holds(to).await? {
            let missing = std::io::Error::other("the copy is not there");
            return Err(unavailable("move", from, missing));
        }
        self.delete(from).await?;
        Ok(true)
    }

    /// Deletes a picture.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    pub async fn delete(&self, key: &str) -> Result<(), StorageError> {
        let request = self.client().await.delete_object();
        let answer = request.bucket(&self.bucket.name).key(key).send().await;
        match answer {
            Ok(_) => Ok(()),
            // S3 never says it of an object; some other servers do.
            Err(error)
                if error.as_service_error().and_then(|error| error.code()) == Some("NoSuchKey") =>
            {
                Ok(())
            }
            Err(error) => Err(unavailable("delete", key, error)),
        }
    }

    fn encryption(&self) -> Option<ServerSideEncryption> {
        match self.bucket.encryption {
            Encryption::BucketDefault => None,
            Encryption::S3 => Some(ServerSideEncryption::Aes256),
            Encryption::Kms(_) => Some(ServerSideEncryption::AwsKms),
        }
    }

    fn kms_key(&self) -> Option<String> {
        match &self.bucket.encryption {
            Encryption::Kms(key) => key.clone(),
            _ => None,
        }
    }

    /// With KMS: one key for many objects, instead of a call of KMS for each.
    fn bucket_key(&self) -> Option<bool> {
        matches!(self.bucket.encryption, Encryption::Kms(_)).then_some(true)
    }

    /// What lifecycle rules of the bucket can go by. Tags need a permission of their own, so that
    /// there are none where pictures are kept for good.
    fn tags(&self, key: &str) -> Option<String> {
        let days = self.bucket.retention_days?;
        let visibility = visibility(key).as_str();
        Some(format!(
            "darkroom-retention={days}d&darkroom-visibility={visibility}"
        ))
    }

    async fn client(&self) -> &Client {
        self.client.get_or_init(|| self.connect()).await
    }

    async fn connect(&self) -> Client {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        let shared = Access {
            region: self.bucket.region.clone(),
            credentials: self.credentials.clone(),
            timeouts,
            // Adaptive: a server that says "slow down" is asked more slowly, by all calls.
            retries: RetryConfig::adaptive()
                .with_max_attempts(ATTEMPTS)
                .with_initial_backoff(FIRST_PAUSE),
        };
        let mut config = aws_sdk_s3::config::Builder::from(&shared.load().await);
        if let Some(endpoint) = &self.bucket.endpoint {
            // Few other servers have a host name for each bucket.
            config = config
                .endpoint_url(endpoint.as_str())
                .force_path_style(true);
        }
        Client::from_conf(config.build())
    }
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error
        .raw_response()
        .map(|response| response.status().as_u16())
}

/// Not every server says `NoSuchKey`; a bucket that is missing is another matter.
fn is_absent(error: &SdkError<GetObjectError>) -> bool {
    let code = error.as_service_error().and_then(|error| error.code());
    status(error) == Some(404) && code != Some("NoSuchBucket")
}

fn pieces(body: ByteStream) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> + Send {
    futures_util::stream::unfold(body, |mut body| async {
        let piece = body.next().await?;
        Some((piece.map_err(std::io::Error::other), body))
    })
}

fn unavailable(
    what: &'static str,
    key: &str,
    error: impl Error + Send + Sync + 'static,
) -> StorageError {
    StorageError::Unavailable {
        what,
        key: key.to_owned(),
        source: Box::new(error),
    }
}
