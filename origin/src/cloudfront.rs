//! The CDN before the store: told what it is to forget. The credentials need
//! `cloudfront:CreateInvalidation` on the distribution.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_cloudfront::Client;
use aws_sdk_cloudfront::config::SharedCredentialsProvider;
use aws_sdk_cloudfront::error::{BuildError, SdkError};
use aws_sdk_cloudfront::operation::create_invalidation::CreateInvalidationError;
use aws_sdk_cloudfront::types::{InvalidationBatch, Paths};
use tokio::sync::OnceCell;

use crate::aws::Access;
use crate::config::Distribution;

/// `CloudFront` is everywhere; its calls are signed for one region.
const REGION: &str = "us-east-1";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For one try of one call.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// For one call with all its tries; more follow, for as long as it takes.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(30);

/// A distribution. Its client is made on first use, so that a service starts without credentials.
#[derive(Debug)]
pub struct CloudFront {
    distribution: Distribution,
    credentials: Option<SharedCredentialsProvider>,
    client: OnceCell<Client>,
}

/// Why the CDN has not heard what it is to forget.
#[derive(Debug, thiserror::Error)]
pub enum CloudFrontError {
    /// It forgets as much as it can at once.
    #[error("CloudFront has too much to forget already")]
    Busy,
    /// It is away, refuses us, or failed.
    #[error("CloudFront cannot be told what to forget in `{distribution}`")]
    Unavailable {
        /// Where.
        distribution: String,
        /// What it says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The request cannot be written.
    #[error("CloudFront cannot be asked to forget this")]
    Request(#[from] BuildError),
}

impl CloudFront {
    /// Credentials come from AWS's default chain.
    #[must_use]
    pub fn new(distribution: Distribution) -> Self {
        Self {
            distribution,
            credentials: None,
            client: OnceCell::new(),
        }
    }

    /// The same with credentials from elsewhere.
    #[must_use]
    pub fn with_credentials(
        distribution: Distribution,
        credentials: SharedCredentialsProvider,
    ) -> Self {
        Self {
            credentials: Some(credentials),
            ..Self::new(distribution)
        }
    }

    /// Has what lies under `paths` (at most 3,000) forgotten everywhere, which takes it about a
    /// minute. A second call by the same `reference`, with the same paths, changes nothing.
    ///
    /// # Errors
    /// [`CloudFrontError`].
    pub async fn invalidate(
        &self,
        reference: &str,
        paths: &[String],
    ) -> Result<(), CloudFrontError> {
        // Each path by its name: of those with a wildcard, which would take a picture's copies along,
        // 15 may be on their way at a time.
        let paths = Paths::builder()
            .quantity(paths.len() as i32)
            .set_items(Some(paths.to_vec()))
            .build()?;
        let batch = InvalidationBatch::builder()
            .caller_reference(reference)
            .paths(paths)
            .build()?;
        let request = self.client().await.create_invalidation();
        let answer = request
            .distribution_id(&self.distribution.id)
            .invalidation_batch(batch)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) if is_busy(&error) => Err(CloudFrontError::Busy),
            Err(error) => Err(CloudFrontError::Unavailable {
                distribution: self.distribution.id.clone(),
                source: Box::new(error),
            }),
        }
    }

    async fn client(&self) -> &Client {
        self.client.get_or_init(|| self.connect()).await
    }

    async fn connect(&self) -> Client {
        let shared = Access {
            region: REGION.to_owned(),
            credentials: self.credentials.clone(),
            timeouts: TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .operation_timeout(OPERATION_TIMEOUT)
                .build(),
            retries: RetryConfig::standard(),
        };
        let mut config = aws_sdk_cloudfront::config::Builder::from(&shared.load().await);
        if let Some(endpoint) = &self.distribution.endpoint {
            config = config.endpoint_url(endpoint.as_str());
        }
        Client::from_conf(config.build())
    }
}

fn is_busy(error: &SdkError<CreateInvalidationError>) -> bool {
    let error = error.as_service_error();
    error.is_some_and(CreateInvalidationError::is_too_many_invalidations_in_progress)
}
