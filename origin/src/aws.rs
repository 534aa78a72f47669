//! How AWS's services are asked: as who, for how long, and over whose TLS.

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::SharedCredentialsProvider;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;

/// What a client of one service is made by.
pub(crate) struct Access {
    /// Where the service is, or which region's signatures it takes.
    pub region: String,
    /// From AWS's default chain where there are none.
    pub credentials: Option<SharedCredentialsProvider>,
    /// For one call.
    pub timeouts: TimeoutConfig,
    /// Within one call.
    pub retries: RetryConfig,
}

impl Access {
    /// What AWS's own clients take.
    pub async fn load(self) -> SdkConfig {
        let http = Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let mut shared = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .region(Region::new(self.region))
            .timeout_config(self.timeouts)
            .retry_config(self.retries);
        if let Some(credentials) = self.credentials {
            shared = shared.credentials_provider(credentials);
        }
        shared.load().await
    }
}
