//! A key's record.

use serde::{Deserialize, Serialize};

use crate::api_key::ApiKey;
use crate::priority::Priority;
use crate::scope::Scope;
use crate::timestamp::{UnixMillis, rfc3339};

/// What is shown of a key: everything but its text and its digests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Key {
    /// A UUID. Rotation keeps it.
    pub id: String,
    /// The owner's label.
    pub name: Option<String>,
    /// Who owns what is made with it. Several keys may belong to one account.
    pub account: String,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// Requests a minute, where it is limited.
    pub rate_per_minute: Option<u32>,
    /// Images a day, where they are limited.
    pub daily_images: Option<u32>,
    /// How the jobs that are handed in with it stand beside others'.
    #[serde(default)]
    pub priority: Priority,
    /// When it was created.
    #[serde(with = "rfc3339")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: UnixMillis,
    /// When it last got a new text.
    #[serde(with = "rfc3339::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub rotated_at: Option<UnixMillis>,
    /// From when on it is refused.
    #[serde(with = "rfc3339::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub expires_at: Option<UnixMillis>,
}

/// How long a key is still shown when it has expired.
const SHOWN_MILLIS: UnixMillis = 30 * 86_400_000;

impl Key {
    /// Whether it expired so long ago that it may be forgotten.
    #[must_use]
    pub fn is_past(&self, now: UnixMillis) -> bool {
        let forgotten_at = self.expires_at.map(|end| end.saturating_add(SHOWN_MILLIS));
        forgotten_at.is_some_and(|end| now >= end)
    }
}

/// A key together with its text: what creation and rotation answer, and nothing else ever.
#[derive(Serialize)]
pub struct Issued<'a> {
    /// What the key is.
    #[serde(flatten)]
    pub about: &'a Key,
    /// The text, `dk_…`.
    pub key: &'a str,
}

/// A key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// What may be shown.
    pub key: Key,
    /// The digests of its texts: the present one first, then one that has some grace left.
    digests: Vec<Live>,
}

/// A text's digest, and how long that text is good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Live {
    /// [`ApiKey::digest`].
    sha256: String,
    /// For good where there is no end.
    #[serde(with = "rfc3339::option")]
    until: Option<UnixMillis>,
}

impl KeyRecord {
    /// A new key's record.
    #[must_use]
    pub fn new(key: Key, text: &ApiKey) -> Self {
        Self {
            key,
            digests: vec![Live::for_good(text)],
        }
    }

    /// Whether `text` is this key's, at the time `now`.
    #[must_use]
    pub fn accepts(&self, text: &ApiKey, now: UnixMillis) -> bool {
        let is_before = |end: Option<UnixMillis>| end.is_none_or(|end| now < end);
        // All are compared, so that the time does not tell which.
        let fits = self.digests.iter().fold(false, |fits, live| {
            fits | (text.matches(&live.sha256) & is_before(live.until))
        });
        fits && is_before(self.key.expires_at)
    }

    /// Gives the key a new text. The one before goes on working for `grace_seconds`, and any
    /// before that no longer. What is returned are the digests that are of no more use.
    pub fn rotate(&mut self, text: &ApiKey, grace_seconds: u64, now: UnixMillis) -> Vec<String> {
        let mut before = std::mem::take(&mut self.digests).into_iter();
        self.digests.push(Live::for_good(text));
        let grace = i64::try_from(grace_seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
        if grace > 0 {
            self.digests.extend(before.next().map(|live| Live {
                until: Some(now.saturating_add(grace)),
                ..live
            }));
        }
        self.key.rotated_at = Some(now);
        before.map(|live| live.sha256).collect()
    }

    /// Whether this is the digest of one of its texts, and that one may still be used.
    #[must_use]
    pub fn knows(&self, digest: &str, now: UnixMillis) -> bool {
        let is_it = |live: &Live| live.sha256 == digest && live.until.is_none_or(|end| now < end);
        self.digests.iter().any(is_it)
    }

    /// The digests of its texts.
    pub fn digests(&self) -> impl Iterator<Item = &str> {
        self.digests.iter().map(|live| live.sha256.as_str())
    }
}

impl Live {
    fn for_good(text: &ApiKey) -> Self {
        Self {
            sha256: text.digest(),
            until: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(byte: u8) -> ApiKey {
        ApiKey::from_random([byte; 32])
    }

    fn record(expires_at: Option<UnixMillis>) -> KeyRecord {
        let key = Key {
            id: "1".into(),
            name: None,
            account: "alice".into(),
            scopes: vec![Scope::Read],
            rate_per_minute: None,
            daily_images: Some(3),
            priority: Priority::Normal,
            created_at: 0,
            rotated_at: None,
            expires_at,
        };
        KeyRecord::new(key, &text(1))
    }

    #[test]
    fn a_key_is_taken_until_it_expires() {
        assert!(record(None).accepts(&text(1), i64::MAX));
        assert!(!record(None).accepts(&text(2), 0));
        assert!(record(Some(10)).accepts(&text(1), 9));
        assert!(!record(Some(10)).accepts(&text(1), 10));
    }

    #[test]
    fn rotation_ends_the_text_before_at_once_or_after_its_grace() {
        let mut key = record(None);
        assert_eq!(key.rotate(&text(2), 0, 5), [text(1).digest()]);
        assert!(key.accepts(&text(2), 5) && !key.accepts(&text(1), 5));
        assert_eq!(key.key.rotated_at, Some(5));

        assert!(key.rotate(&text(3), 1, 10).is_empty());
        assert!(key.accepts(&text(3), 5000) && key.accepts(&text(2), 1009));
        assert!(!key.accepts(&text(2), 1010));

        // Of two texts before, only the last has any grace.
        assert_eq!(key.rotate(&text(4), 1, 20), [text(2).digest()]);
        assert!(key.accepts(&text(4), 20) && key.accepts(&text(3), 20));
        assert!(!key.accepts(&text(2), 20));
    }

    #[test]
    fn grace_outlives_no_expiry() {
        let mut key = record(Some(100));
        key.rotate(&text(2), 1000, 50);
        assert!(key.accepts(&text(1), 99) && key.accepts(&text(2), 99));
        assert!(!key.accepts(&text(1), 100) && !key.accepts(&text(2), 100));
    }

    #[test]
    fn a_key_from_before_there_were_priorities_has_the_usual_one() {
        let mut json = serde_json::to_value(record(None)).expect("JSON");
        let shown = json["key"].as_object_mut().expect("an object");
        assert_eq!(shown.remove("priority"), Some("normal".into()));
        let read: KeyRecord = serde_json::from_value(json).expect("read");
        assert_eq!(read, record(None));
    }

    #[test]
    fn an_expired_key_is_shown_for_a_month_and_then_past() {
        assert!(!record(None).key.is_past(i64::MAX));
        let key = record(Some(10)).key;
        assert!(!key.is_past(10) && !key.is_past(9 + SHOWN_MILLIS));
        assert!(key.is_past(10 + SHOWN_MILLIS));
    }

    #[test]
    fn a_digest_is_known_as_long_as_its_text_is_taken() {
        let mut key = record(None);
        key.rotate(&text(2), 1, 10);
        assert!(key.knows(&text(2).digest(), i64::MAX));
        assert!(key.knows(&text(1).digest(), 1009));
        assert!(!key.knows(&text(1).digest(), 1010));
        assert!(!key.knows(&text(3).digest(), 10));
    }

    #[test]
    fn a_record_comes_back_from_its_json_and_holds_no_text() {
        let record = record(Some(10));
        let json = serde_json::to_string(&record).expect("JSON");
        assert!(json.contains(&text(1).digest()) && !json.contains(text(1).expose()));
        assert_eq!(
            serde_json::from_str::<KeyRecord>(&json).expect("read"),
            record
        );
        let shown = serde_json::to_value(Issued {
            about: &record.key,
            key: text(1).expose(),
        })
        .expect("JSON");
        assert_eq!(shown["key"], text(1).expose());
        assert_eq!(shown["account"], "alice");
        assert_eq!(shown["expires_at"], "1970-01-01T00:00:00.010Z");
    }
}
