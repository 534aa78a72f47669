//! The settings of a distribution.

use url::Url;

use super::reader::Reader;
use super::settings;
use super::values::web_address;

/// A distribution of `CloudFront`.
#[derive(Clone, Debug)]
pub struct Distribution {
    /// Its id.
    pub id: String,
    /// Another server than AWS's.
    pub endpoint: Option<Url>,
}

impl Reader<'_> {
    pub(super) fn distribution(&mut self) -> Option<Distribution> {
        let endpoint = self.optional(&settings::CLOUDFRONT_ENDPOINT, web_address);
        let id = self.optional(&settings::CLOUDFRONT_DISTRIBUTION, distribution_id)?;
        Some(Distribution { id, endpoint })
    }
}

fn distribution_id(text: &str) -> Result<String, String> {
    let is_id = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_id
        .then(|| text.to_owned())
        .ok_or_else(|| "write the distribution's id, such as E1A2B3C4D5E6F7".to_owned())
}
