//! What a signature allows.

use std::net::IpAddr;

use serde_json::Value;

use super::wildcard::fits;
use super::{Network, Refusal};
use crate::timestamp::to_rfc3339;

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

    /// Its end, as answers tell it.
    #[must_use]
    pub fn expires_at(&self) -> String {
        to_rfc3339(self.expires.saturating_mul(1000))
    }

    /// What is signed. Of a canned policy CloudFront makes these very bytes itself; conditions stand
    /// as its documentation and botocore have them.
    #[must_use]
    pub fn to_json(&self) -> String {
        let resource = Value::from(self.resource.as_str());
        let end = format!(r#""DateLessThan":{{"AWS:EpochTime":{}}}"#, self.expires);
        let source = self.source.map_or(String::new(), |source| {
            format!(r#","IpAddress":{{"AWS:SourceIp":"{source}"}}"#)
        });
        let start = self.starts.map_or(String::new(), |starts| {
            format!(r#","DateGreaterThan":{{"AWS:EpochTime":{starts}}}"#)
        });
        let condition = format!("{{{end}{source}{start}}}");
        format!(r#"{{"Statement":[{{"Resource":{resource},"Condition":{condition}}}]}}"#)
    }

    /// Reads [`Policy::to_json`], or what another signer wrote: order and spaces are free. What is
    /// not understood to the end is not read at all.
    pub(super) fn from_json(json: &[u8]) -> Option<Self> {
        let document: Value = serde_json::from_slice(json).ok()?;
        let [statements] = members(&document, ["Statement"])?;
        let [statement] = statements?.as_array()?.as_slice() else {
            return None;
        };
        let [resource, condition] = members(statement, ["Resource", "Condition"])?;
        let names = ["DateLessThan", "DateGreaterThan", "IpAddress"];
        let [expires, starts, source] = members(condition?, names)?;
        Some(Self {
            resource: resource?.as_str()?.to_owned(),
            expires: epoch_time(expires?)?,
            starts: match starts {
                Some(starts) => Some(epoch_time(starts)?),
                None => None,
            },
            source: match source {
                Some(source) => Some(source_ip(source)?),
                None => None,
            },
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

/// An object's members of these names; none where it is no object or has others too.
fn members<'a, const N: usize>(
    value: &'a Value,
    names: [&str; N],
) -> Option<[Option<&'a Value>; N]> {
    let object = value.as_object()?;
    let found = names.map(|name| object.get(name));
    (found.iter().flatten().count() == object.len()).then_some(found)
}

fn epoch_time(value: &Value) -> Option<i64> {
    let [at] = members(value, ["AWS:EpochTime"])?;
    at?.as_i64()
}

fn source_ip(value: &Value) -> Option<Network> {
    let [network] = members(value, ["AWS:SourceIp"])?;
    network?.as_str()?.parse().ok()
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
            ("[{\"Resource", "[{\"Effect\":\"Allow\",\"Resource"),
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
