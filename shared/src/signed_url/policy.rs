//! What a signature allows.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::wildcard::fits;
use super::{Network, Refusal};

/// Which address may be fetched, and when and from where. Moments are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The address, in which `*` stands for any characters and `?` for one.
    pub resource: String,
    /// From this moment on no more.
    pub expires: i64,
    /// Not before this moment.
    pub starts: Option<i64>,
    /// Only from here.
    pub source: Option<Network>,
}

impl Policy {
    /// One that says no more than when it ends.
    #[must_use]
    pub const fn until(expires: i64, resource: String) -> Self {
        Self {
            resource,
            expires,
            starts: None,
            source: None,
        }
    }

    /// Whether it can be told again from the address and its end, and so need not be sent.
    #[must_use]
    pub fn is_canned(&self) -> bool {
        let is_plain = !self.resource.contains('*');
        is_plain && self.starts.is_none() && self.source.is_none()
    }

    /// What is signed. Of a canned policy CloudFront makes these very bytes itself.
    #[must_use]
    pub fn to_json(&self) -> String {
        let document = Document {
            statement: [Statement {
                resource: self.resource.clone(),
                condition: Condition {
                    date_less_than: EpochTime { at: self.expires },
                    ip_address: self.source.map(|network| SourceIp { network }),
                    date_greater_than: self.starts.map(|at| EpochTime { at }),
                },
            }],
        };
        // Strings and numbers: there is nothing in it that could fail.
        serde_json::to_string(&document).unwrap_or_default()
    }

    /// Reads [`Policy::to_json`], or what another signer wrote: order and spaces are free. What is
    /// not understood to the end is not read at all.
    pub(super) fn from_json(json: &[u8]) -> Option<Self> {
        let Document {
            statement: [statement],
        } = serde_json::from_slice(json).ok()?;
        let condition = statement.condition;
        Some(Self {
            resource: statement.resource,
            expires: condition.date_less_than.at,
            starts: condition.date_greater_than.map(|starts| starts.at),
            source: condition.ip_address.map(|source| source.network),
        })
    }

    /// Whether it lets this address be fetched now, from there.
    pub(super) fn judge(&self, url: &str, now: i64, source: Option<IpAddr>) -> Result<(), Refusal> {
        if !fits(&self.resource, url) {
            return Err(Refusal::Resource);
        }
        if now >= self.expires {
            return Err(Refusal::Expired);
        }
        if self.starts.is_some_and(|starts| now < starts) {
            return Err(Refusal::NotYet);
        }
        let is_theirs = |allowed: Network| source.is_some_and(|source| allowed.contains(source));
        if !self.source.is_none_or(is_theirs) {
            return Err(Refusal::Source);
        }
        Ok(())
    }
}

// The fields stand as CloudFront's documentation and botocore have them.

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "Statement")]
    statement: [Statement; 1],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    #[serde(rename = "Resource")]
    resource: String,
    #[serde(rename = "Condition")]
    condition: Condition,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Condition {
    date_less_than: EpochTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<SourceIp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    date_greater_than: Option<EpochTime>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EpochTime {
    #[serde(rename = "AWS:EpochTime")]
    at: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceIp {
    #[serde(rename = "AWS:SourceIp")]
    network: Network,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const URL: &str = "https://d1.cloudfront.net/private/generated/1-a.png";

    fn custom() -> Policy {
        Policy {
            starts: Some(100),
            source: "192.0.2.0/24".parse().ok(),
            ..Policy::until(200, "https://d1.cloudfront.net/private/*".into())
        }
    }

    #[test]
    fn the_text_is_what_cloudfront_reconstructs() {
        let canned = Policy::until(1_700_000_000, URL.into());
        assert!(canned.is_canned() && !custom().is_canned());
        assert_eq!(
            canned.to_json(),
            r#"{"Statement":[{"Resource":"https://d1.cloudfront.net/private/generated/1-a.png","Condition":{"DateLessThan":{"AWS:EpochTime":1700000000}}}]}"#
        );
        assert_eq!(
            custom().to_json(),
            r#"{"Statement":[{"Resource":"https://d1.cloudfront.net/private/*","Condition":{"DateLessThan":{"AWS:EpochTime":200},"IpAddress":{"AWS:SourceIp":"192.0.2.0/24"},"DateGreaterThan":{"AWS:EpochTime":100}}}]}"#
        );
    }

    #[test]
    fn each_condition_counts() {
        let here = "192.0.2.9".parse().ok();
        let judge = |url, now, source| custom().judge(url, now, source);
        assert_eq!(judge(URL, 100, here), Ok(()));
        assert_eq!(judge(URL, 199, here), Ok(()));
        assert_eq!(judge(URL, 99, here), Err(Refusal::NotYet));
        assert_eq!(judge(URL, 200, here), Err(Refusal::Expired));
        assert_eq!(
            judge(URL, 150, "192.0.3.9".parse().ok()),
            Err(Refusal::Source)
        );
        assert_eq!(judge(URL, 150, None), Err(Refusal::Source));
        let public = "https://d1.cloudfront.net/generated/1-a.png";
        assert_eq!(judge(public, 150, here), Err(Refusal::Resource));
    }

    #[test]
    fn a_policy_that_is_not_understood_allows_nothing() {
        let known = custom().to_json();
        assert_eq!(Policy::from_json(known.as_bytes()), Some(custom()));
        let spaced = known.replace(':', ": ").replace("https: ", "https:");
        let spaced = spaced.replace("AWS: ", "AWS:");
        assert_eq!(Policy::from_json(spaced.as_bytes()), Some(custom()));
        for (from, to) in [
            ("IpAddress", "NotIpAddress"),
            ("\"AWS:EpochTime\":100", "\"AWS:EpochTime\":\"100\""),
            ("192.0.2.0/24", "192.0.2.0/33"),
            ("\"Statement\":[", "\"Statement\":[],\"Statement\":["),
            ("DateLessThan", "DateLessThanEquals"),
            ("}]}", "},{}]}"),
        ] {
            let other = known.replace(from, to);
            assert_ne!(other, known);
            assert_eq!(Policy::from_json(other.as_bytes()), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn a_written_policy_reads_as_itself(
            resource in ".*", expires: i64, starts: Option<i64>, bits: Option<u32>,
        ) {
            let source = bits.map(|bits| std::net::Ipv4Addr::from_bits(bits).to_string());
            let source = source.and_then(|address| address.parse().ok());
            let policy = Policy { resource, expires, starts, source };
            prop_assert_eq!(Policy::from_json(policy.to_json().as_bytes()), Some(policy));
        }

        #[test]
        fn hostile_policies_are_refused_without_a_panic(json: Vec<u8>) {
            prop_assert_eq!(Policy::from_json(&json), None);
        }
    }
}
