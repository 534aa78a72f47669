//! What a caller asks of a signature: `expires_in`, `ip` and `starts_at`.

use super::{Lifetimes, Network, Policy};
use crate::fields::Fields;
use crate::limits::Range;
use crate::problem::Problem;
use crate::timestamp::{UnixMillis, from_rfc3339};

/// Characters, of an address as of a moment.
const TEXT: Range<u64> = Range { min: 1, max: 100 };

/// A body of `POST /api/images/{id}/signed-url`, checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    expires_in: Option<u64>,
    /// Unix seconds.
    starts: Option<i64>,
    source: Option<Network>,
}

impl Ask {
    /// Reads and checks a body at the time `now`; an empty one asks for nothing in particular.
    /// `any_ip` is false where the URL is for CloudFront, whose policies know IPv4 alone.
    ///
    /// # Errors
    /// [`Code::Malformed`](crate::problem::Code::Malformed) for a body that is no JSON object,
    /// [`Code::Invalid`](crate::problem::Code::Invalid) with every offending field for one whose
    /// values are not allowed.
    pub fn from_json(
        body: &[u8],
        now: UnixMillis,
        lifetimes: &Lifetimes,
        any_ip: bool,
    ) -> Result<Self, Problem> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        let mut fields = Fields::from_json(body)?;
        let longest = Range {
            min: 1,
            max: lifetimes.most,
        };
        let ask = Self {
            expires_in: fields.whole("expires_in", longest),
            starts: starts(&mut fields, now, lifetimes),
            source: source(&mut fields, any_ip),
        };
        fields.finish(&[])?;
        Ok(ask)
    }

    /// The policy for an address. Its time is counted from now, or from the start where that is
    /// later.
    #[must_use]
    pub fn policy(&self, resource: String, now: UnixMillis, lifetimes: &Lifetimes) -> Policy {
        let now = now.div_euclid(1000);
        let from = self.starts.map_or(now, |starts| starts.max(now));
        let seconds = self.expires_in.unwrap_or(lifetimes.default);
        Policy {
            resource,
            expires: lifetimes.end(from, seconds),
            starts: self.starts,
            source: self.source,
        }
    }
}

fn starts(fields: &mut Fields, now: UnixMillis, lifetimes: &Lifetimes) -> Option<i64> {
    let text = fields.text("starts_at", TEXT)?;
    let Ok(at) = from_rfc3339(&text) else {
        let message = "must be an RFC 3339 moment, as 2030-01-31T12:00:00Z";
        fields.error("starts_at", message);
        return None;
    };
    let latest = now.saturating_add((lifetimes.most as i64).saturating_mul(1000));
    if !(0..=latest).contains(&at) {
        let message = format!("must be at most {} seconds ahead", lifetimes.most);
        fields.error("starts_at", message);
    }
    // Not before what was said, not even by a part of a second.
    Some(at.saturating_add(999).div_euclid(1000))
}

fn source(fields: &mut Fields, any_ip: bool) -> Option<Network> {
    let text = fields.text("ip", TEXT)?;
    match text.parse::<Network>() {
        Ok(network) if any_ip || network.is_ipv4() => Some(network),
        Ok(_) => {
            fields.error("ip", "must be of IPv4: CloudFront takes no other");
            None
        }
        Err(error) => {
            fields.error("ip", error.to_string());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::problem::Code;

    const NOW: UnixMillis = 1_700_000_000_000;
    const LIFETIMES: Lifetimes = Lifetimes {
        default: 3600,
        most: 604_800,
        window: 900,
    };

    fn policy(body: &Value) -> Policy {
        let ask = Ask::from_json(body.to_string().as_bytes(), NOW, &LIFETIMES, true);
        ask.expect("valid").policy("r".into(), NOW, &LIFETIMES)
    }

    fn errors(body: &Value, any_ip: bool) -> Vec<String> {
        let problem = Ask::from_json(body.to_string().as_bytes(), NOW, &LIFETIMES, any_ip);
        let problem = problem.expect_err("refused");
        assert_eq!(problem.code, Code::Invalid);
        problem.errors.into_iter().map(|e| e.field).collect()
    }

    #[test]
    fn who_asks_for_nothing_gets_a_canned_policy() {
        let empty = Ask::from_json(b"", NOW, &LIFETIMES, false).expect("valid");
        assert_eq!(
            empty,
            Ask::from_json(b"{}", NOW, &LIFETIMES, false).expect("valid")
        );
        let policy = empty.policy("r".into(), NOW, &LIFETIMES);
        assert_eq!(policy, Policy::until(1_700_003_700, "r".into()));
        assert!(policy.is_canned());
    }

    #[test]
    fn what_is_asked_for_is_in_the_policy() {
        assert_eq!(policy(&json!({ "expires_in": 60 })).expires, 1_700_000_070);
        let starts = "2023-11-14T23:13:20.001Z";
        let later = policy(&json!({ "starts_at": starts, "expires_in": 4, "ip": "192.0.2.7" }));
        assert_eq!(later.starts, Some(1_700_003_601));
        assert_eq!(later.expires, 1_700_003_605);
        assert_eq!(later.source, "192.0.2.7/32".parse().ok());
        let before = policy(&json!({ "starts_at": "2020-01-01T00:00:00Z", "expires_in": 4 }));
        assert_eq!(before.expires, 1_700_000_004);
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let wrong = json!({ "expires_in": 0, "starts_at": "soon", "ip": "here", "colour": "red" });
        assert_eq!(errors(&wrong, true).len(), 4);
        assert_eq!(
            errors(&json!({ "expires_in": 604_801 }), true),
            ["expires_in"]
        );
        for starts in ["2023-11-22T22:13:20Z", "1969-12-31T23:59:59Z"] {
            assert_eq!(errors(&json!({ "starts_at": starts }), true), ["starts_at"]);
        }
        assert_eq!(errors(&json!({ "ip": "2001:db8::1" }), false), ["ip"]);
        assert!(policy(&json!({ "ip": "2001:db8::1" })).source.is_some());
    }

    proptest! {
        #[test]
        fn hostile_bodies_are_refused_without_a_panic(body: Vec<u8>, text in ".*", number: u64) {
            let _ = Ask::from_json(&body, NOW, &LIFETIMES, true);
            let fields = json!({ "starts_at": text, "ip": text, "expires_in": number });
            let _ = Ask::from_json(fields.to_string().as_bytes(), NOW, &LIFETIMES, true);
        }
    }
}
