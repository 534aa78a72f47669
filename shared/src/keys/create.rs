//! `POST /api/keys`: what a new key shall be.

use super::{Key, KeyRecord};
use crate::api_key::ApiKey;
use crate::fields::Fields;
use crate::limits::Range;
use crate::priority::Priority;
use crate::problem::Problem;
use crate::request::is_printable;
use crate::scope::Scope;
use crate::timestamp::{UnixMillis, from_rfc3339};

/// The longest that `expires_in` may ask for: a hundred years.
pub const MAX_LIFETIME_SECONDS: u64 = 100 * 366 * 86_400;
/// Characters. With everything else that is shown of a key it has to fit into 1024 bytes, which
/// is what Workers KV keeps beside a value.
const NAME: Range<u64> = Range { min: 1, max: 60 };
/// Characters.
const ACCOUNT: Range<u64> = Range { min: 1, max: 100 };
/// Either limit; a key that may do nothing is better revoked.
const LIMIT: Range<u64> = Range {
    min: 1,
    max: 1_000_000,
};
/// Callers without a key go by this name.
const ANONYMOUS: &str = "anonymous";

/// A new key, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateKey {
    name: Option<String>,
    account: Option<String>,
    scopes: Vec<Scope>,
    rate_per_minute: Option<u32>,
    daily_images: Option<u32>,
    priority: Priority,
    expires_at: Option<UnixMillis>,
}

impl CreateKey {
    /// Reads and checks a request's body at the time `now`.
    ///
    /// # Errors
    /// [`Code::Malformed`](crate::problem::Code::Malformed) for a body that is no JSON object,
    /// [`Code::Invalid`](crate::problem::Code::Invalid) with every offending field for one whose
    /// values are not allowed.
    pub fn from_json(body: &[u8], now: UnixMillis) -> Result<Self, Problem> {
        let mut fields = Fields::from_json(body)?;
        let limit = |value: u64| value as u32;
        let request = Self {
            name: name(&mut fields),
            account: account(&mut fields),
            scopes: fields
                .choices("scopes", Scope::ALL, Scope::as_str)
                .unwrap_or_else(|| vec![Scope::Generate, Scope::Read]),
            rate_per_minute: fields.whole("rate_per_minute", LIMIT).map(limit),
            daily_images: fields.whole("daily_images", LIMIT).map(limit),
            priority: fields.choice("priority", Priority::ALL, Priority::as_str),
            expires_at: expiry(&mut fields, now),
        };
        fields.finish(&[])?;
        Ok(request)
    }

    /// The record of the key that was asked for. One without an account gets one of its own.
    #[must_use]
    pub fn into_record(self, id: String, text: &ApiKey, now: UnixMillis) -> KeyRecord {
        let key = Key {
            account: self.account.unwrap_or_else(|| id.clone()),
            id,
            name: self.name,
            scopes: self.scopes,
            rate_per_minute: self.rate_per_minute,
            daily_images: self.daily_images,
            priority: self.priority,
            created_at: now,
            rotated_at: None,
            expires_at: self.expires_at,
        };
        KeyRecord::new(key, text)
    }
}

fn name(fields: &mut Fields) -> Option<String> {
    let name = fields.text("name", NAME)?;
    if !name.chars().all(is_printable) {
        fields.error("name", "must be printable");
    }
    Some(name)
}

/// A name that a header and a log can carry. Without colons: names with one are those of
/// callers who come with a token.
fn account(fields: &mut Fields) -> Option<String> {
    let account = fields.text("account", ACCOUNT)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte);
    if !account.bytes().all(is_plain) {
        fields.error(
            "account",
            "must be of letters, digits and `.`, `_`, `@`, `-`",
        );
    } else if account == ANONYMOUS {
        fields.error("account", "is what callers without a key go by");
    }
    Some(account)
}

fn expiry(fields: &mut Fields, now: UnixMillis) -> Option<UnixMillis> {
    let lifetime = Range {
        min: 1,
        max: MAX_LIFETIME_SECONDS,
    };
    let seconds = fields.whole("expires_in", lifetime);
    let moment = fields.text("expires_at", Range { min: 1, max: 100 });
    match (seconds, moment) {
        (Some(_), Some(_)) => {
            fields.error(
                "expires_at",
                "and expires_in say the same: give one of them",
            );
            None
        }
        (Some(seconds), None) => Some(now.saturating_add(seconds as i64 * 1000)),
        (None, Some(moment)) => match from_rfc3339(&moment) {
            Ok(at) if at > now => Some(at),
            Ok(_) => {
                fields.error("expires_at", "is in the past");
                None
            }
            Err(_) => {
                fields.error(
                    "expires_at",
                    "must be an RFC 3339 moment, as 2030-01-31T12:00:00Z",
                );
                None
            }
        },
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::problem::Code;

    const NOW: UnixMillis = 1_700_000_000_000;

    fn record(body: &Value) -> KeyRecord {
        let request = CreateKey::from_json(body.to_string().as_bytes(), NOW).expect("valid");
        request.into_record("an-id".into(), &ApiKey::from_random([1; 32]), NOW)
    }

    fn errors(body: &Value) -> Vec<String> {
        let problem = CreateKey::from_json(body.to_string().as_bytes(), NOW).expect_err("refused");
        assert_eq!(problem.code, Code::Invalid);
        let mut fields: Vec<_> = problem.errors.into_iter().map(|e| e.field).collect();
        fields.sort_unstable();
        fields
    }

    #[test]
    fn a_key_that_says_nothing_makes_pictures_for_an_account_of_its_own() {
        let key = record(&json!({})).key;
        assert_eq!(key.account, "an-id");
        assert_eq!(key.scopes, [Scope::Generate, Scope::Read]);
        assert_eq!((key.created_at, key.expires_at), (NOW, None));
    }

    #[test]
    fn every_field_is_kept() {
        let key = record(&json!({
            "name": "Ä key", "account": "alice@example.com", "scopes": ["admin", "posts:write"],
            "rate_per_minute": 60, "daily_images": 100, "priority": "high", "expires_in": 60
        }))
        .key;
        assert_eq!(key.name.as_deref(), Some("Ä key"));
        assert_eq!(key.account, "alice@example.com");
        assert_eq!(key.scopes, [Scope::Admin, Scope::PostsWrite]);
        assert_eq!(
            (key.rate_per_minute, key.daily_images),
            (Some(60), Some(100))
        );
        assert_eq!(key.priority, Priority::High);
        assert_eq!(key.expires_at, Some(NOW + 60_000));
        let until = record(&json!({ "expires_at": "2030-01-01T01:00:00+01:00" })).key;
        assert_eq!(until.expires_at, Some(1_893_456_000_000));
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let body = json!({
            "name": "a\u{202e}b", "account": "a b", "scopes": ["root"], "rate_per_minute": 0,
            "daily_images": 1.5, "priority": "urgent", "expires_at": "2020-01-01T00:00:00Z", "colour": "red"
        });
        let expected = [
            "account",
            "colour",
            "daily_images",
            "expires_at",
            "name",
            "priority",
            "rate_per_minute",
            "scopes",
        ];
        assert_eq!(errors(&body), expected);
        for scopes in [
            json!([]),
            json!("read"),
            json!(["read", "read"]),
            json!([1]),
        ] {
            assert_eq!(errors(&json!({ "scopes": scopes })), ["scopes"]);
        }
        for account in ["anonymous", "jwt:x", "é", ""] {
            assert_eq!(errors(&json!({ "account": account })), ["account"]);
        }
        for expiry in [json!("tomorrow"), json!(5)] {
            assert_eq!(errors(&json!({ "expires_at": expiry })), ["expires_at"]);
        }
        let both = json!({ "expires_in": 5, "expires_at": "2030-01-01T00:00:00Z" });
        assert_eq!(errors(&both), ["expires_at"]);
    }

    #[test]
    fn what_is_shown_of_the_largest_key_fits_beside_a_value() {
        let id = "0198c0de-0000-7000-8000-000000000000";
        let body = json!({
            "name": "\u{1f98a}".repeat(60), "account": "a".repeat(100),
            "scopes": ["generate", "read", "posts:write", "admin"],
            "rate_per_minute": 1_000_000, "daily_images": 1_000_000,
            "priority": "normal", "expires_in": MAX_LIFETIME_SECONDS
        });
        let mut record = record(&body);
        record.key.id = id.into();
        record.key.rotated_at = Some(NOW);
        assert!(serde_json::to_string(&record.key).expect("JSON").len() <= 1024);
    }

    proptest! {
        #[test]
        fn hostile_bodies_are_refused_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = CreateKey::from_json(&body, NOW);
        }

        #[test]
        fn an_expiry_lies_ahead_whatever_was_asked(seconds in any::<u64>(), moment in ".*") {
            for body in [json!({ "expires_in": seconds }), json!({ "expires_at": moment })] {
                if let Ok(request) = CreateKey::from_json(body.to_string().as_bytes(), NOW) {
                    prop_assert!(request.expires_at.is_some_and(|at| at > NOW));
                }
            }
        }
    }
}
